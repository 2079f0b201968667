/** What a page tells beside what it shows: notifications and tones, recorded instead of shown and played. */

export interface Heard {
  notices: { title: string; tag: string }[];
  tones: number;
}

/** To run in a page before its own scripts. */
export function record() {
  const heard: Heard = { notices: [], tones: 0 };
  Object.assign(window, { heard });
  class Recorded {
    static permission = "granted";
    static requestPermission = () => Promise.resolve("granted");
    onclick: (() => void) | null = null;
    constructor(title: string, options: { tag: string }) {
      heard.notices.push({ title, tag: options.tag });
    }
  }
  Object.assign(window, { Notification: Recorded });
  const start = OscillatorNode.prototype.start;
  OscillatorNode.prototype.start = function (at?: number) {
    heard.tones += 1;
    start.call(this, at);
  };
}

/** To ask in the page. */
export const heard = () => (window as unknown as { heard: Heard }).heard;
