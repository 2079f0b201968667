// Before anything is painted: the theme this reader chose, if it is not the system's.
try {
  const theme = localStorage.getItem("theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // No storage: the system decides.
}

// The first time of another zone takes a browser long to write: it learns how while the page's script is on its way.
setTimeout(() => new Intl.DateTimeFormat("en", { hour: "2-digit", timeZone: "America/New_York" }).format());
