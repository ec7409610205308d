// Not a module: it runs before anything is painted, so that a page chosen dark does not flash.
(() => {
  try {
    const { theme } = JSON.parse(localStorage.getItem("foreword") ?? "{}");
    if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  } catch {
    // What cannot be read is as good as not chosen.
  }
})();
