/** Light or dark: as the system has it, or as the reader chose. `theme.js` applies the choice before the first paint. */

export type Theme = "system" | "light" | "dark";

const KEY = "theme";

function chosen(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

let theme = $state<Theme>(chosen());
const systemIsDark = matchMedia("(prefers-color-scheme: dark)");
let dark = $state(systemIsDark.matches);
systemIsDark.addEventListener("change", (event) => (dark = event.matches));

export const themes = {
  get chosen() {
    return theme;
  },
  /** What is shown. */
  get shown(): "light" | "dark" {
    if (theme !== "system") return theme;
    return dark ? "dark" : "light";
  },
  choose(wanted: Theme) {
    theme = wanted;
    const root = document.documentElement;
    if (wanted === "system") delete root.dataset.theme;
    else root.dataset.theme = wanted;
    try {
      if (wanted === "system") localStorage.removeItem(KEY);
      else localStorage.setItem(KEY, wanted);
    } catch {
      // No storage: it holds until the page is left.
    }
  },
};
