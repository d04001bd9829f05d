// The contrast (WCAG 2) of each text of the one-line diagram against what it stands on, and of the chart's inks.
() => {
  const channels = (colour) => colour.match(/[\d.]+/g).slice(0, 3).map(Number);
  const probe = document.createElement("i");
  document.body.append(probe);
  const resolved = (name) => {
    probe.style.color = `var(${name})`;
    return getComputedStyle(probe).color;
  };
  const luminance = (colour) => {
    const [r, g, b] = channels(colour).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (one, two) => {
    const [dark, light] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };
  const found = {};
  const panel = resolved("--panel");
  for (const bus of document.querySelectorAll("#one-line .bus")) {
    const disc = getComputedStyle(bus.querySelector(".disc")).fill;
    for (const name of ["number", "value", "stands"]) {
      const text = bus.querySelector(`.${name}`);
      if (text.textContent) found[`${bus.id} ${bus.getAttribute("class")} ${name}`] = contrast(getComputedStyle(text).fill, name === "number" ? disc : panel);
    }
  }
  for (const name of ["--ink", "--bad", "--warn", "--series-1", "--series-2", "--series-3", "--series-4"]) found[`chart ${name}`] = contrast(resolved(name), panel);
  probe.remove();
  return found;
}
