// The strip above every page: the most urgent alarm, and how many there are. Pages that show alarms, injections or
// merges are told by the event "grid-changed" of the body that something of these has changed.
"use strict";

(() => {
  const strip = document.getElementById("alarm-strip");
  let changes = null;
  let shown = "";

  function put(parent, tag, text, attributes = {}) {
    const item = document.createElement(tag);
    item.textContent = text;
    for (const [name, value] of Object.entries(attributes)) item.setAttribute(name, value);
    parent.append(item);
    return item;
  }

  function showStrip(message) {
    const top = message.top;
    const text = JSON.stringify([top, message.active, message.waiting]);
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
    put(strip, "a", `${message.active} active, ${message.waiting} not acknowledged`, { href: "/alarms" });
  }

  document.body.addEventListener("live:alarms", (event) => {
    const message = event.detail.message;
    showStrip(message);
    if (message.changes !== changes) {
      changes = message.changes;
      document.body.dispatchEvent(new CustomEvent("grid-changed"));
    }
  });
})();
