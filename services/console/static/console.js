// What all pages do: the pause button, keys, copies, ages and local times.
"use strict";

(() => {
  const pause = document.getElementById("pause");
  const state = document.getElementById("live");

  function showPause() {
    const isPaused = sessionStorage.getItem("paused") === "yes";
    pause.setAttribute("aria-pressed", String(isPaused));
    pause.textContent = isPaused ? "Go on" : "Pause";
    document.body.classList.toggle("paused", isPaused);
  }

  function togglePause() {
    sessionStorage.setItem("paused", sessionStorage.getItem("paused") === "yes" ? "no" : "yes");
    showPause();
    window.live.showWaiting();
  }

  function ageOf(us) {
    const s = Math.max(0, Date.now() - us / 1000) / 1000;
    if (s < 10) return `${s.toFixed(1)} s`;
    if (s < 120) return `${Math.round(s)} s`;
    if (s < 7200) return `${Math.round(s / 60)} min`;
    if (s < 172800) return `${Math.round(s / 3600)} h`;
    return `${Math.round(s / 86400)} d`;
  }

  function localTime(us) {
    const at = new Date(us / 1000);
    const two = (n) => String(n).padStart(2, "0");
    const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
    return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, "0")}`;
  }

  function showTimes(root) {
    for (const item of root.querySelectorAll("time[data-at-us]")) {
      const us = Number(item.dataset.atUs);
      if (!Number.isFinite(us)) continue;
      item.title ||= item.getAttribute("datetime");
      item.textContent = "age" in item.dataset ? ageOf(us) : localTime(us);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button.copy");
    if (!button) return;
    await navigator.clipboard.writeText(button.dataset.copy);
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });

  let going = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
    if (going) {
      going = false;
      const wanted = [...document.querySelectorAll("header nav a")];
      const page = wanted.find((link) => link.textContent.trim().toLowerCase().startsWith(event.key.toLowerCase()));
      if (page) page.click();
    } else if (event.key === "/") {
      event.preventDefault();
      document.querySelector("form.search input").focus();
    } else if (event.key === "p") {
      togglePause();
    } else if (event.key === "g") {
      going = true;
      setTimeout(() => { going = false; }, 1500);
    }
  });

  pause.addEventListener("click", togglePause);
  document.body.addEventListener("live-state", (event) => {
    state.textContent = event.detail;
    state.className = event.detail === "live" ? "" : "bad";
  });
  document.addEventListener("htmx:after:swap", () => showTimes(document));
  setInterval(() => {
    if (!window.live.paused()) showTimes(document);
  }, 1000);
  showPause();
  showTimes(document);
})();
