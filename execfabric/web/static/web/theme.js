// Sets the theme before the first paint: the user's own choice, else what the system prefers.
(() => {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    let chosen = null;
    try {
      chosen = localStorage.getItem("theme");
    } catch {
      // Storage is blocked: follow the system.
    }
    const theme = chosen || (system.matches ? "dark" : "light");
    document.documentElement.setAttribute("data-bs-theme", theme);
  };
  apply();
  system.addEventListener("change", apply);
  addEventListener("storage", apply);
  // Paper is light.
  addEventListener("beforeprint", () => document.documentElement.setAttribute("data-bs-theme", "light"));
  addEventListener("afterprint", apply);
})();
