/** How somebody wants the watchlist shown: kept in the browser, for it is nobody else's. */

import { COLUMNS, type ColumnName } from "./columns";

const KEY = "qqq-watchlist";

interface Kept {
  /** `null`: as it comes. */
  columns: ColumnName[] | null;
  isDense: boolean;
}

const known = new Set<string>(COLUMNS.map(({ name }) => name));

function read(): Kept {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "{}") as Partial<Kept>;
    const columns = Array.isArray(kept.columns) ? kept.columns.filter((name) => known.has(name)) : null;
    return { columns, isDense: kept.isDense === true };
  } catch {
    // What was kept is not ours, or nothing may be kept.
    return { columns: null, isDense: false };
  }
}

class Preferences {
  #kept: Kept = $state.raw(read());

  get columns(): ColumnName[] | null {
    return this.#kept.columns;
  }

  get isDense(): boolean {
    return this.#kept.isDense;
  }

  choose(changes: Partial<Kept>) {
    this.#kept = { ...this.#kept, ...changes };
    try {
      localStorage.setItem(KEY, JSON.stringify(this.#kept));
    } catch {
      // It holds until the page is left.
    }
  }
}

export const preferences = new Preferences();
