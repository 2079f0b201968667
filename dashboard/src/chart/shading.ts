/** The ground of a chart: hours outside the regular session are shaded, days are parted by hairlines. */

import type {
  IChartApi,
  IPrimitivePaneRenderer,
  IPrimitivePaneView,
  ISeriesPrimitive,
  SeriesAttachedParameter,
  Time,
} from "lightweight-charts";
import type { Run } from "./timeline";

export interface Ground {
  runs: Run[];
  shade: string;
  hairline: string;
  ink: string;
  /** Written where a half day begins; empty on all panes but the first. */
  halfDay: string;
}

type Target = Parameters<IPrimitivePaneRenderer["draw"]>[0];

export class Shading implements ISeriesPrimitive<Time> {
  #chart: IChartApi | null = null;
  #update: () => void = () => {};
  #ground: Ground | null = null;

  attached({ chart, requestUpdate }: SeriesAttachedParameter<Time>) {
    this.#chart = chart as IChartApi;
    this.#update = requestUpdate;
  }

  detached() {
    this.#chart = null;
  }

  show(ground: Ground) {
    this.#ground = ground;
    this.#update();
  }

  paneViews(): readonly IPrimitivePaneView[] {
    return [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) }];
  }

  #draw(target: Target) {
    const scale = this.#chart?.timeScale();
    const ground = this.#ground;
    if (!scale || !ground) return;
    const half = scale.options().barSpacing / 2;
    const edge = (index: number) => scale.logicalToCoordinate(index as never);
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.font = "11px system-ui, sans-serif";
      for (const run of ground.runs) {
        const [left, right] = [edge(run.first), edge(run.last)];
        if (left === null || right === null || right < -half || left > mediaSize.width + half) continue;
        if (run.phase !== "regular") {
          context.fillStyle = ground.shade;
          context.fillRect(left - half, 0, right - left + 2 * half, mediaSize.height);
        }
        if (!run.begins) continue;
        context.fillStyle = ground.hairline;
        context.fillRect(Math.round(left - half), 0, 1, mediaSize.height);
        if (run.halfDay && ground.halfDay !== "" && right - left > 60) {
          context.fillStyle = ground.ink;
          context.fillText(ground.halfDay, left - half + 4, 12);
        }
      }
    });
  }
}
