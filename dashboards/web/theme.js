// Before the first paint, so that nothing flashes: the theme that was chosen last, else the system's.
(function () {
  "use strict";
  var chosen = null;
  try {
    chosen = localStorage.getItem("netmon-theme");
  } catch (_) {
    // Storage may be refused; the system's theme stands.
  }
  var light = chosen ? chosen === "light" : window.matchMedia("(prefers-color-scheme: light)").matches;
  document.documentElement.dataset.theme = light ? "light" : "dark";
})();
