// The strip above every page: the most urgent alarm, and how many there are. Pages that show alarms, injections or
// merges are told by the event "grid-changed" of the body that something of these has changed.
"use strict";

(() => {
  const strip = document.getElementById("alarm-strip");
  const channels = new Map();
  let shown = "";

  function put(parent, tag, text, attributes = {}) {
    const item = document.createElement(tag);
    item.textContent = text;
    for (const [name, value] of Object.entries(attributes)) item.setAttribute(name, value);
    parent.append(item);
    return item;
  }

  const STATES = ["unacknowledged", "returned", "acknowledged"];

  function isBefore(one, two) {
    const rank = (top) => [STATES.indexOf(top.state), top.priority, top.raised_us];
    const [a, b] = [rank(one), rank(two)];
    const place = a.findIndex((value, n) => value !== b[n]);
    return place >= 0 && a[place] < b[place];
  }

  function showStrip() {
    let [top, active, waiting] = [null, 0, 0];
    for (const message of channels.values()) {
      active += message.active;
      waiting += message.waiting;
      if (message.top && (!top || isBefore(message.top, top))) top = message.top;
    }
    const text = JSON.stringify([top, active, waiting]);
    if (text === shown) return;
    shown = text;
    strip.replaceChildren();
    strip.className = "";
    if (!top) return;
    strip.className = top.state === "unacknowledged" ? "bad" : "warn";
    put(strip, "b", top.state === "returned" ? "ALARM returned" : "ALARM");
    strip.append(` group ${top.group} on ${top.channel}: ${top.meaning}${top.detail ? `, ${top.detail}` : ""}, `);
    put(strip, "time", "", { "data-at-us": String(top.raised_us), "data-age": "" });
    strip.append(" ago ");
    put(strip, "a", `${active} active, ${waiting} not acknowledged`, { href: "/alarms" });
  }

  document.body.addEventListener("live:alarms", (event) => {
    const { topic, message } = event.detail;
    const before = channels.get(topic);
    channels.set(topic, message);
    showStrip();
    if (!before || before.changes !== message.changes) document.body.dispatchEvent(new CustomEvent("grid-changed"));
  });
})();
