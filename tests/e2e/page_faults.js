// Faults of a page for people who use a keyboard, a screen reader, or see little contrast.
(() => {
  const all = (selector) => [...document.querySelectorAll(selector)];
  const faults = [];
  const levels = all("h1, h2, h3, h4").map((one) => Number(one.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push("not one h1");
  if (levels.some((level, i) => i > 0 && level - levels[i - 1] > 1)) faults.push("a heading is skipped");
  for (const input of all("input")) if (!input.labels.length) faults.push(`no label: ${input.id}`);
  for (const link of all("a")) if (!link.textContent.trim()) faults.push(`no text: ${link.href}`);
  for (const picture of all("svg")) if (!picture.ariaLabel) faults.push("a picture without a label");
  if (!document.documentElement.lang || !document.title || !all("main").length) faults.push("no frame");
  const channels = (colour) => colour.match(/[\d.]+/g).map(Number);
  const light = (colour) => {
    const [r, g, b] = channels(colour).map((v) => (v / 255 <= 0.04 ? v / 3294 : ((v / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (one) => {
    const colour = getComputedStyle(one).backgroundColor;
    return channels(colour)[3] === 0 && one.parentElement ? background(one.parentElement) : colour;
  };
  for (const one of all("body :not(svg *)")) {
    if (![...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim())) continue;
    const [dim, bright] = [light(getComputedStyle(one).color), light(background(one))].sort((a, b) => a - b);
    if ((bright + 0.05) / (dim + 0.05) < 4.5) faults.push(`contrast: ${one.outerHTML.slice(0, 80)}`);
  }
  return faults;
})()
