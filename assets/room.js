// Makes the room page live: asks the server for what came and went, and shows it. The page works
// without this file; everything that only works with it is made here.
"use strict";

(() => {
  const log = document.getElementById("log");
  if (!log || !log.dataset.poll) return;

  const RETRY_FIRST_MS = 1000;
  const RETRY_MOST_MS = 30000;
  const ASK_AGAIN_MS = 5000;

  let cursor = log.dataset.cursor;
  let retryMs = RETRY_FIRST_MS;
  let mayWait = true;
  const status = document.getElementById("status");

  const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
  const isAtBottom = () =>
    window.innerHeight + window.scrollY >= document.documentElement.scrollHeight - 40;

  // The list that messages of this day belong to: the last one, or a new one below a new heading.
  function listFor(day) {
    const headings = log.querySelectorAll("h3:not(#new)");
    const last = headings[headings.length - 1];
    if (last && last.textContent === day && log.lastElementChild.tagName === "OL") {
      return log.lastElementChild;
    }
    const heading = document.createElement("h3");
    heading.textContent = day;
    const list = document.createElement("ol");
    log.append(heading, list);
    return list;
  }

  const dayOf = (item) =>
    new Intl.DateTimeFormat("en-GB", { dateStyle: "long", timeZone: "UTC" }).format(
      new Date(item.querySelector("time").dateTime),
    );

  function place(items) {
    for (const item of items) {
      const there = document.getElementById(item.id);
      if ("gone" in item.dataset) there?.remove();
      else if (!there) listFor(dayOf(item)).append(item);
    }
    tidy();
  }

  // Lists and headings that have nothing below them go; so does the sentence that nothing is here.
  function tidy() {
    for (const list of log.querySelectorAll("ol:empty")) list.remove();
    for (const heading of log.querySelectorAll("h3")) {
      const next = heading.nextElementSibling;
      if (!next || (next.tagName === "H3" && next.id !== "new")) heading.remove();
    }
    const nothing = document.getElementById("nothing");
    if (nothing) nothing.hidden = Boolean(log.querySelector("li"));
  }

  function dropExpired() {
    const now = Date.now();
    const expired = [...log.querySelectorAll("li")].filter((li) => Number(li.dataset.deadline) <= now);
    for (const item of expired) item.remove();
    if (expired.length > 0) tidy();
  }

  function stop(sentence) {
    status.textContent = sentence;
  }

  async function poll() {
    const wait = mayWait ? "" : "&wait=0";
    const response = await fetch(`${log.dataset.poll}?after=${cursor}${wait}`, { redirect: "error" });
    if (response.status === 401) return stop("You are signed out. Sign in to continue. Your draft is still here.");
    if (response.status === 403 || response.status === 404) return stop("You are no longer in this room.");
    if (response.status !== 200 && response.status !== 204) throw new Error(response.statusText);
    const html = await response.text();
    cursor = response.headers.get("Mirage-Cursor");
    mayWait = response.headers.get("Mirage-Wait") !== "0";
    const wasAtBottom = isAtBottom();
    if (response.headers.has("Mirage-Reset")) log.replaceChildren();
    const fragment = document.createRange().createContextualFragment(html);
    place([...fragment.children]);
    if (wasAtBottom && html) window.scrollTo(0, document.documentElement.scrollHeight);
    return true;
  }

  async function live() {
    for (;;) {
      try {
        if (!(await poll())) return;
        retryMs = RETRY_FIRST_MS;
        if (!mayWait) await sleep(ASK_AGAIN_MS);
      } catch {
        await sleep(retryMs * (0.5 + Math.random() / 2));
        retryMs = Math.min(retryMs * 2, RETRY_MOST_MS);
      }
    }
  }

  setInterval(dropExpired, 1000);
  live();
})();
