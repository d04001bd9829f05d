// One event stream for each browser, however many tabs: the tab that holds the lock has it and tells the others. When
// that tab is closed, another one gets the lock. Messages arrive in a page as events "live:NAME" of its body, where NAME
// is the topic up to its first slash.
"use strict";

(() => {
  const LOCK = "gridledger-live";
  const channel = new BroadcastChannel(LOCK);
  const latest = new Map();
  const waiting = new Map();
  let leads = false;

  const paused = () => document.hidden || sessionStorage.getItem("paused") === "yes";

  function show(topic, message) {
    if (paused()) {
      waiting.set(topic, message);
      return;
    }
    const name = topic.split("/", 1)[0];
    document.body.dispatchEvent(new CustomEvent(`live:${name}`, { detail: { topic, message } }));
  }

  function showWaiting() {
    if (paused()) return;
    const all = [...waiting];
    waiting.clear();
    for (const [topic, message] of all) show(topic, message);
  }

  function take(topic, message) {
    latest.delete(topic);
    latest.set(topic, message);
    show(topic, message);
  }

  function tellState(state) {
    document.body.dispatchEvent(new CustomEvent("live-state", { detail: state }));
  }

  function lead() {
    leads = true;
    return new Promise(() => {
      const source = new EventSource("/live");
      const state = (text) => {
        tellState(text);
        channel.postMessage({ state: text });
      };
      source.onopen = () => state("live");
      source.onerror = () => {
        state("no connection");
        // A session that has ended is told by the next page; a stream that was refused is not tried again by itself.
        if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 3000);
      };
      source.onmessage = (event) => {
        const { topic, message } = JSON.parse(event.data);
        take(topic, message);
        channel.postMessage({ topic, message });
      };
    });
  }

  channel.onmessage = ({ data }) => {
    if (data.ask) {
      if (leads) {
        for (const [topic, message] of latest) channel.postMessage({ topic, message });
        channel.postMessage({ state: "live" });
      }
    } else if (data.state) {
      if (!leads) tellState(data.state);
    } else if (!leads) {
      take(data.topic, data.message);
    }
  };

  window.live = { latest, showWaiting, paused };
  document.addEventListener("visibilitychange", showWaiting);
  document.addEventListener("DOMContentLoaded", () => {
    channel.postMessage({ ask: true });
    navigator.locks.request(LOCK, lead);
  });
})();
