/** The title that a page gives its tab once it knows more than its address tells. */

import { router } from "./router.svelte";

let said = $state.raw<{ path: string; title: string } | null>(null);

export const title = {
  /** What the page here said, if anything. */
  get here(): string | null {
    return said?.path === router.path ? said.title : null;
  },
  /** Calls the page here so. */
  say(title: string) {
    said = { path: router.path, title };
  },
};
