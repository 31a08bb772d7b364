// Sets the colour scheme before the first paint, so that nothing flashes.
(function () {
  var saved = null;
  try {
    saved = localStorage.getItem("norn-color-scheme");
  } catch (e) {
    /* storage is off: follow the system */
  }
  var dark = saved === "dark" || (saved !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
