// Before anything is drawn: the theme chosen last time, else the system's.
(() => {
  let kept = null;
  try {
    kept = localStorage.getItem("archdsl-theme");
  } catch {}
  const dark = kept ? kept === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = dark ? "dark" : "light";
})();
