// The grid's pages: pictures of groups into the diagram and the tables, zoom, and the chart of the last ten minutes.
"use strict";

(() => {
  const LEVELS = ["ok", "near", "low", "none"];
  const LEVEL_WORDS = { low: ["below the threshold", "bad"], near: ["near the threshold", "warn"], none: ["no data", "dim"], ok: ["", ""] };
  const WORD_STATES = { alarm: "bad", escalated: "bad", "no data": "bad", injected: "warn", suspect: "warn", stale: "warn" };
  const standing = new Map();
  let rowsOfBuses = null;

  function clock(seconds) {
    const at = new Date(seconds * 1000);
    return [at.getHours(), at.getMinutes(), at.getSeconds()].map((n) => String(n).padStart(2, "0")).join(":");
  }

  function setText(element, text) {
    if (element && element.textContent !== text) element.textContent = text;
  }

  function drawBus([number, vm, vsi, level, weak]) {
    const bus = document.getElementById(`bus-${number}`);
    if (bus) {
      for (const each of LEVELS) bus.classList.toggle(each, each === level);
      bus.classList.toggle("weak", weak);
      setText(bus.querySelector(".value"), vsi !== null ? vsi.toFixed(3) : vm !== null ? `V ${vm.toFixed(3)}` : "");
      const group = bus.dataset.group ? `, group ${bus.dataset.group}` : "";
      const numbers = `${vm === null ? "" : `, V ${vm.toFixed(4)} p.u.`}${vsi === null ? "" : `, VSI ${vsi.toFixed(4)}`}`;
      const word = [weak ? "weakest" : "", LEVEL_WORDS[level][0]].filter(Boolean).join(", ");
      setText(bus.querySelector("title"), `bus ${number}${group}${numbers}${word ? `, ${word}` : ""}`);
    }
    const row = rowOfBus(number);
    if (row) {
      setText(row.cells[2], vm === null ? "" : vm.toFixed(4));
      setText(row.cells[3], vsi === null ? "" : vsi.toFixed(4));
      const word = [weak ? "weakest" : "", LEVEL_WORDS[level][0]].filter(Boolean).join(", ");
      showState(row.cells[5], word, LEVEL_WORDS[level][1]);
    }
  }

  // A bus that no frame names, as the reference bus, has data where its group has.
  function drawUnmeasured(message) {
    const named = new Set(message.buses.map((bus) => String(bus[0])));
    for (const bus of document.querySelectorAll(`#one-line .bus[data-group="${message.group}"]`)) {
      if (named.has(bus.dataset.bus)) continue;
      bus.classList.toggle("none", message.stale);
      bus.classList.toggle("ok", !message.stale);
    }
  }

  function rowOfBus(number) {
    if (rowsOfBuses === null) {
      rowsOfBuses = new Map();
      for (const row of document.querySelectorAll("#buses-now tbody tr")) rowsOfBuses.set(row.cells[0].textContent.trim(), row);
    }
    return rowsOfBuses.get(String(number));
  }

  function showState(cell, word, state) {
    const old = cell.querySelector(".state");
    if (old ? old.textContent === word && old.className === `state ${state}` : cell.textContent.trim() === word && !state) return;
    const span = document.createElement("span");
    span.className = `state ${state}`;
    span.textContent = word;
    cell.replaceChildren(span);
  }

  function drawStanding() {
    const sums = new Map();
    for (const amounts of standing.values()) {
      for (const [bus, q] of Object.entries(amounts)) sums.set(bus, (sums.get(bus) || 0) + q);
    }
    for (const bus of document.querySelectorAll("#one-line .bus.fed")) {
      if (!sums.has(bus.dataset.bus)) {
        bus.classList.remove("fed");
        setText(bus.querySelector(".stands"), "");
      }
    }
    for (const [bus, q] of sums) {
      const element = document.getElementById(`bus-${bus}`);
      if (!element) continue;
      element.classList.add("fed");
      setText(element.querySelector(".stands"), `${q >= 0 ? "+" : "−"}${Math.abs(q).toFixed(1)} MVAr`);
    }
  }

  let askedForGroups = 0;

  function showGroup(message) {
    const table = document.getElementById("groups");
    const row = [...(table ? table.tBodies[0].rows : [])].find(
      (each) => each.dataset.group === message.group && each.dataset.channel === message.channel,
    );
    if (message.word === "gone") {
      if (row) row.remove();
      return;
    }
    if (!row) {
      if (location.pathname === "/grid" && Date.now() - askedForGroups > 2000) {
        askedForGroups = Date.now();
        window.htmx.ajax("GET", "/grid", { target: "#groups-now", select: "#groups-now", swap: "outerHTML" });
        window.htmx.ajax("GET", "/grid", { target: "#buses-now", select: "#buses-now", swap: "outerHTML" });
      }
      return;
    }
    const field = (name) => row.querySelector(`[data-field="${name}"]`);
    const word = message.merged_into ? `merged into ${message.merged_into}` : message.word;
    if (field("word").dataset.shown !== `${word} ${message.stale && message.seen_us}`) {
      field("word").dataset.shown = `${word} ${message.stale && message.seen_us}`;
      const state = document.createElement("span");
      state.className = `state ${WORD_STATES[message.word] || ""}`;
      state.textContent = word;
      field("word").replaceChildren(state);
      if (message.stale) {
        const since = document.createElement("span");
        since.textContent = clock(message.seen_us / 1e6);
        field("word").append(" since ", since);
      }
    }
    row.classList.toggle("stale", message.stale);
    setText(field("weak_bus"), message.weak_bus === null ? "" : String(message.weak_bus));
    setText(field("vsi"), message.vsi === null ? "" : message.vsi.toFixed(4));
    setText(field("threshold"), message.threshold === null ? "" : message.threshold.toFixed(4));
    setText(field("rate"), message.stale ? "" : message.rate.toFixed(1));
    setText(field("p99_ms"), message.p99_ms === null ? "" : `${message.p99_ms} ms`);
    field("age").dataset.atUs = String(message.seen_us);
  }

  document.body.addEventListener("live:grid", (event) => {
    const message = event.detail.message;
    showGroup(message);
    for (const bus of message.buses) drawBus(bus);
    if (!message.merged_into && message.word !== "gone") drawUnmeasured(message);
    standing.set(`${message.channel}/${message.group}`, message.standing);
    drawStanding();
  });
  document.addEventListener("htmx:after:swap", () => {
    rowsOfBuses = null;
    fitAtFirst();
  });

  // The diagram is shown as a whole where its texts can be read then, else in its own size, to be scrolled.
  const READABLE = 0.72;
  const OVERVIEW = 0.25;

  function zoomTo(svg, scale) {
    const bounded = Math.min(4, Math.max(0.1, scale));
    svg.setAttribute("width", String(svg.viewBox.baseVal.width * bounded));
    svg.setAttribute("height", String(svg.viewBox.baseVal.height * bounded));
    svg.dataset.scale = String(bounded);
    svg.classList.toggle("far", bounded < 0.5);
  }

  function fitScale(svg) {
    const box = svg.parentElement;
    return Math.min(1.6, (box.clientWidth - 2) / svg.viewBox.baseVal.width);
  }

  function fitAtFirst() {
    const svg = document.getElementById("one-line");
    if (!svg || svg.dataset.scale) return;
    const least = svg.classList.contains("many") ? OVERVIEW : READABLE;
    zoomTo(svg, Math.max(least, fitScale(svg)));
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-zoom]");
    const svg = document.getElementById("one-line");
    if (!button || !svg) return;
    const now = Number(svg.dataset.scale) || 1;
    const wanted = { in: now * 1.3, out: now / 1.3, fit: fitScale(svg) };
    zoomTo(svg, wanted[button.dataset.zoom]);
  });

  class Chart {
    constructor(root) {
      this.root = root;
      this.plotted = root.querySelector(".plot");
      this.said = root.querySelector('[data-chart="said"]');
      this.plot = null;
      this.asking = false;
      root.addEventListener("change", () => this.begin());
      matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw(true));
      new ResizeObserver(() => this.plot && this.plot.setSize(this.size())).observe(this.plotted);
      this.begin();
      setInterval(() => {
        if (!window.live.paused()) this.ask();
      }, 1000);
    }

    value(name) {
      const field = this.root.querySelector(`[data-chart="${name}"]`);
      return field ? field.value : "";
    }

    begin() {
      this.times = [];
      this.columns = new Map();
      this.ask();
    }

    async ask() {
      if (this.asking) return;
      this.asking = true;
      try {
        const chosen = this.value("group");
        const cut = chosen.indexOf("/");
        const channel = cut < 0 ? this.root.dataset.channel : chosen.slice(0, cut);
        const group = cut < 0 ? this.root.dataset.group : chosen.slice(cut + 1);
        const since = this.times.length ? Math.round(this.times[this.times.length - 1] * 1e6) : 0;
        const buses = this.value("buses").replace(/[^0-9,]+/g, "");
        const query = new URLSearchParams({ channel, group, buses, since_us: String(since) });
        const answer = await fetch(`/grid/series?${query}`, { headers: { accept: "application/json" } });
        if (!answer.ok) {
          setText(this.said, "The series cannot be read now.");
          return;
        }
        this.take(await answer.json());
      } catch (error) {
        setText(this.said, "The console does not answer.");
      } finally {
        this.asking = false;
      }
    }

    take({ times, columns, threshold, actions }) {
      const buses = Object.keys(columns);
      const same = buses.length === this.columns.size && buses.every((bus) => this.columns.has(bus));
      if (!same && buses.length) {
        if (this.times.length) {
          this.begin();
          return;
        }
        this.columns = new Map(buses.map((bus) => [bus, [[], []]]));
      }
      this.times.push(...times);
      for (const bus of buses) for (const field of [0, 1]) this.columns.get(bus)[field].push(...columns[bus][field]);
      const newest = this.times[this.times.length - 1];
      const over = this.times.findIndex((time) => time > newest - 600);
      if (over > 0) {
        this.times.splice(0, over);
        for (const fields of this.columns.values()) for (const values of fields) values.splice(0, over);
      }
      this.threshold = threshold;
      this.actions = actions;
      this.draw(!same);
    }

    size() {
      return { width: Math.max(240, this.plotted.clientWidth), height: this.plotted.clientWidth < 500 ? 180 : 240 };
    }

    draw(anew) {
      const field = Number(this.value("field"));
      const span = Number(this.value("span")) || 600;
      const newest = this.times[this.times.length - 1] || 0;
      let first = this.times.findIndex((time) => time > newest - span);
      if (first < 0) first = 0;
      const cut = (values) => values.slice(first);
      const data = [cut(this.times), ...[...this.columns.values()].map((fields) => cut(fields[field]))];
      const dashed = field === 1 && this.threshold !== null;
      if (dashed) data.push(data[0].map(() => this.threshold));
      const key = JSON.stringify([field, dashed, [...this.columns.keys()]]);
      if (anew || key !== this.key || !this.plot) {
        this.key = key;
        if (this.plot) this.plot.destroy();
        this.plot = new uPlot(this.options(field, dashed), data, this.plotted);
      } else {
        this.plot.setData(data);
      }
      const last = [...this.columns].map(([bus, fields]) => {
        const value = fields[field][fields[field].length - 1];
        return `bus ${bus}: ${value === null || value === undefined ? "none" : value.toFixed(4)}`;
      });
      setText(this.said, last.length ? `Newest ${field === 1 ? "VSI" : "V"}: ${last.join(", ")}` : "No frame in the last ten minutes.");
    }

    options(field, dashed) {
      const style = getComputedStyle(document.documentElement);
      const colour = (name) => style.getPropertyValue(name).trim();
      const axis = { stroke: colour("--ink"), grid: { stroke: colour("--line"), width: 1 }, ticks: { stroke: colour("--line") } };
      const dashes = [[], [6, 3], [2, 3], [8, 3, 2, 3]];
      const series = [{ value: (plot, time) => (time === null ? "" : clock(time)) }, ...[...this.columns.keys()].map((bus, n) => ({
        label: `bus ${bus}`,
        stroke: colour(`--series-${1 + (n % 4)}`),
        dash: dashes[n % 4],
        width: 1.6,
        points: { show: false },
      }))];
      if (dashed) series.push({ label: "threshold", stroke: colour("--bad"), dash: [10, 6], width: 1.2, points: { show: false } });
      return {
        ...this.size(),
        series,
        scales: { x: { time: true } },
        axes: [{ ...axis, space: 70, values: (plot, splits) => splits.map(clock) }, { ...axis, size: 64, label: field === 1 ? "VSI" : "V, p.u.", stroke: colour("--ink") }],
        legend: { live: true },
        hooks: { draw: [(plot) => this.drawActions(plot, colour("--warn"))] },
      };
    }

    drawActions(plot, colour) {
      const { ctx, bbox } = plot;
      ctx.save();
      ctx.strokeStyle = colour;
      ctx.fillStyle = colour;
      ctx.font = `${11 * devicePixelRatio}px system-ui`;
      for (const [time, bus, q] of this.actions || []) {
        const x = plot.valToPos(time, "x", true);
        if (x < bbox.left || x > bbox.left + bbox.width) continue;
        ctx.beginPath();
        ctx.moveTo(x, bbox.top);
        ctx.lineTo(x, bbox.top + bbox.height);
        ctx.stroke();
        ctx.fillText(`${bus}: ${q >= 0 ? "+" : ""}${q.toFixed(1)}`, x + 3 * devicePixelRatio, bbox.top + 11 * devicePixelRatio);
      }
      ctx.restore();
    }
  }

  fitAtFirst();
  for (const root of document.querySelectorAll(".chart")) new Chart(root);
})();
