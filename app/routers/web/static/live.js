// Follow a running build: its stage, its log and its end.
"use strict";
const LINES = 400;
const build = document.getElementById("build");
const log = document.getElementById("log");
const seconds = document.getElementById("seconds");
const opened = performance.now();
const before = Number(seconds.dataset.seconds);

const clock = setInterval(() => {
  seconds.textContent = (before + (performance.now() - opened) / 1000).toFixed(1) + " s";
}, 1000);

const events = new EventSource(build.dataset.events);

events.addEventListener("state", (event) => {
  const state = JSON.parse(event.data);
  document.getElementById("stage").textContent = state.stage;
  document.getElementById("phases").textContent = state.phases
    .map((one) => `${one.phase} ${one.seconds.toFixed(1)} s${one.running ? ", running" : ""}`)
    .join("; ");
  const count = state.estimated_from;
  const left = state.remaining_seconds;
  const known = left !== null && `about ${Math.round(left)} s, by ${count} earlier build${count > 1 ? "s" : ""}`;
  document.getElementById("remaining").textContent =
    known || (count ? "unknown: longer than all earlier builds" : "unknown");
});
events.addEventListener("restart", () => log.replaceChildren());
events.addEventListener("log", (event) => {
  const atEnd = innerHeight + scrollY >= document.body.scrollHeight - 50;
  for (const line of JSON.parse(event.data)) log.append(line + "\n");
  while (log.childNodes.length > LINES) log.firstChild.remove();
  if (atEnd) scrollTo(0, document.body.scrollHeight);
});
events.addEventListener("end", () => {
  events.close();
  clearInterval(clock);
  location.reload(); // the page of a finished build has its message and its logs
});
events.onerror = () => {
  // The browser connects again after a lost connection, but not after a refusal.
  if (events.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), 5000);
};
