/**
 * A ticker as the server lists it (`qqq_core::Symbol`): upper case, a share class behind a point, however it was
 * written: `brk-b`, `BRK/B` and `BRK B` are `BRK.B`. A pair keeps its dash: `BTC-USD`.
 */
export function listed(text: string): string {
  const upper = text.trim().toUpperCase();
  const [, stem, rest] = /^([A-Z0-9]+)[.\-/ ] *([A-Z]{1,2})$/.exec(upper) ?? [];
  return stem === undefined ? upper.replace(/^([A-Z0-9]+)\/([A-Z]{3,})$/, "$1-$2") : `${stem}.${rest}`;
}
