// Updates the room page live.
"use strict";

(() => {
  const byId = (id) => document.getElementById(id);
  const log = byId("log");
  if (!log) return;
  const section = log.closest("section");
  const form = byId("write");
  const box = byId("message");
  const statusLine = byId("status");
  const compose = byId("compose");
  const updates = byId("updates");
  const end = section.querySelector(".end");
  const reader = document.querySelector("[name=for]").value;
  let { title } = document;

  const messages = () => [...log.querySelectorAll("li")];
  const known = () => [...messages(), ...waiting];
  const numberOf = (message) => Number(message.id.slice(1));
  const isOwn = (message) => message.classList.contains("own");
  const edgesOf = (element) => element.getBoundingClientRect();
  const countOf = (number) => `${number} new message${number === 1 ? "" : "s"}`;
  const parse = (html) => new DOMParser().parseFromString(html, "text/html");

  function make(name, properties, ...children) {
    const element = Object.assign(document.createElement(name), properties);
    element.append(...children);
    return element;
  }

  const makeButton = (onclick) => make("button", { type: "button", className: "quiet", onclick });

  function makeChoice(id, text, isOnAtFirst) {
    const checked = (kept("localStorage", id) ?? `${isOnAtFirst}`) === "true";
    const input = make("input", { type: "checkbox", id, checked, onchange: () => kept("localStorage", id, input.checked) });
    make("div", { className: "choice" }, input, make("label", { htmlFor: id }, text));
    return input;
  }

  // Disabled storage throws.
  function kept(storage, key, value) {
    try {
      if (value !== undefined) window[storage].setItem(key, value);
      return window[storage].getItem(key);
    } catch {
      return null;
    }
  }

  // Screen readers skip a text equal to the last one.
  const unlike = (before, text) => (text === before ? `${text}\u00a0` : text);

  function tell(sentence) {
    statusLine.textContent = unlike(statusLine.textContent, sentence);
    saidAt = performance.now();
  }

  // ---- Time. Deadlines go by the server's clock.

  let ahead = log.dataset.now - performance.now();

  function dropExpired() {
    const now = performance.now() + ahead;
    drop(known().filter((message) => message.dataset.deadline <= now));
  }

  // ---- The list. Not a live region.

  const dayFormat = new Intl.DateTimeFormat(undefined, { dateStyle: "long" });
  const timeFormat = new Intl.DateTimeFormat(undefined, { timeStyle: "short" });
  const lang = dayFormat.resolvedOptions().locale;
  const spoken = log.dataset.lang;
  const firstNew = log.querySelector("#now ~ ol > li");
  const earlier = log.querySelector("#now + p");
  let marker = firstNew && byId("now");

  const write = (format, time) => format.format(new Date(time.dateTime));
  const dayOf = (message) => write(dayFormat, message.querySelector("time"));

  function localise(message) {
    const time = message.querySelector("time");
    const link = message.querySelector(".delete");
    const local = write(timeFormat, time);
    if (link) link.ariaLabel = link.ariaLabel.replace(/[\d:]+ UTC(?=$|, number \d+$)/, local);
    time.textContent = local;
    time.lang = lang;
  }

  function append(items) {
    const below = document.createDocumentFragment();
    let list = log.lastElementChild;
    let day = list && dayOf(list.lastElementChild);
    let batch = [];
    for (const item of items) {
      const itsDay = dayOf(item);
      const isMarked = marker && !marker.parentNode && numberOf(item) >= numberOf(firstNew);
      if (itsDay !== day || isMarked) {
        list?.append(...batch);
        batch = [];
        if (itsDay !== day) below.append(make("h3", { lang }, itsDay));
        if (isMarked) below.append(marker, ...(earlier ? [earlier] : []));
        list = make("ol", spoken && { lang: spoken });
        below.append(list);
        day = itsDay;
      }
      batch.push(item);
    }
    list?.append(...batch);
    log.append(below);
  }

  // For messages between existing ones.
  function rebuild(items) {
    const focused = document.activeElement;
    log.replaceChildren();
    append(items.sort((a, b) => numberOf(a) - numberOf(b)));
    if (log.contains(focused)) focused.focus({ preventScroll: true });
  }

  function tidy() {
    const empty = ["ol:not(:has(li))", "#now:not(:has(~ ol)), p:not(:has(~ ol))", "h3:not(#now, :has(+ ol, + #now + ol, + #now + p + ol))"];
    for (const kind of empty) log.querySelectorAll(kind).forEach((part) => part.remove());
    marker = log.querySelector("#now");
    if (!marker) end.id = "now";
    const words = log.firstElementChild ? "" : "There are no messages here now.";
    if (end.textContent !== words) end.textContent = words;
  }

  // The box covers the lower edge of the window.
  const lowerEdge = () => Math.min(innerHeight, compose ? edgesOf(compose).top : innerHeight);
  const isAtEnd = () => edgesOf(section).bottom < lowerEdge() + 40;

  let slip = 0; // browsers scroll by whole pixels

  // Keeps the end in place if in view, else a message that stays.
  function inPlace(change, going = []) {
    const keepsEnd = isAtEnd();
    const stays = (item) => edgesOf(item).bottom > 0 && !going.includes(item);
    const anchor = keepsEnd ? section : messages().find(stays);
    const place = () => (anchor ? edgesOf(anchor)[keepsEnd ? "bottom" : "top"] : 0);
    const aim = place() - slip;
    change();
    if (place() !== aim) scrollBy(0, place() - aim);
    slip = (place() - aim) % 1;
  }

  function drop(items) {
    if (!items.length) return;
    inPlace(() => {
      passFocusFrom(items);
      for (const item of items) item.remove();
      tidy();
    }, items);
    waiting = waiting.filter((item) => !items.includes(item));
    showPause();
    showUnseen();
  }

  function passFocusFrom(items) {
    const all = messages();
    const holder = items.find((item) => item.contains(document.activeElement));
    if (!holder) return;
    const heir = all.slice(all.indexOf(holder)).find((item) => !items.includes(item));
    const target = heir?.querySelector("a") ?? heir ?? end;
    if (target.tagName !== "A") target.tabIndex = -1;
    target.focus({ preventScroll: true });
  }

  function show(items, isSilent) {
    if (!items.length) return;
    const all = messages();
    const isLater = !all.length || numberOf(items[0]) > numberOf(all.at(-1));
    inPlace(() => {
      if (isLater) append(items);
      else rebuild([...all, ...items]);
      tidy();
    });
    if (!isSilent) announce(items.filter((item) => !isOwn(item)));
  }

  // A reset lists every live message.
  function receive(items, isReset) {
    const there = new Map(known().map((item) => [item.id, item]));
    const gone = new Set(isReset ? there.values() : []);
    const came = [];
    for (const item of items) {
      const old = there.get(item.id);
      const isGone = "gone" in item.dataset;
      if (old && isGone) gone.add(old);
      else if (old) {
        gone.delete(old);
        old.dataset.deadline = item.dataset.deadline; // it can be shortened
      } else if (!isGone) came.push(item);
    }
    drop([...gone]);
    came.forEach(localise);
    const mustWait = (item) => isPaused && !isOwn(item);
    waiting.push(...came.filter(mustWait));
    showPause();
    show(came.filter((item) => !mustWait(item)), isReset);
  }

  // ---- Pausing: messages from others wait.

  let isPaused = kept("sessionStorage", "paused") === "true";
  let waiting = [];
  const pauseButton = makeButton(pauseOrResume);

  function showPause() {
    const text = isPaused ? `Resume updates, ${waiting.length || "none"} waiting` : "Pause updates";
    if (pauseButton.textContent !== text) pauseButton.textContent = text;
  }

  function pauseOrResume() {
    isPaused = !isPaused;
    kept("sessionStorage", "paused", isPaused);
    const items = waiting;
    waiting = [];
    showPause();
    tell(isPaused ? "Updates paused" : "Updates resumed");
    show(items);
    speakIn(0);
  }

  // ---- Notifications, while the tab is hidden.

  const wish = `notify ${reader} ${log.dataset.poll}`;
  const notifyButton = makeButton(startOrStopNotifying);
  const notifyHint = make("p", { className: "hint", id: "notify-hint" }, "While this tab is hidden, within 15 s or when the browser next lets it run.");
  const withWords = makeChoice("notify-words", "With author and first words", false);
  const notifyPart = make("div", {}, notifyButton, notifyHint, withWords.parentNode);
  let notification;

  function offerNotifications() {
    try {
      const { permission } = Notification;
      if (permission === "denied") return; // or no secure context
      // Chrome on Android throws; others show nothing yet.
      if (permission === "default") new Notification("");
      notifyButton.ariaPressed = permission === "granted" && kept("localStorage", wish) === "true";
      notifyButton.setAttribute("aria-describedby", notifyHint.id);
      notifyButton.append("Notify me");
      offerWords();
      byId("reload").after(notifyPart);
    } catch {} // there are none
  }

  async function startOrStopNotifying() {
    const isAllowed = (await Notification.requestPermission()) === "granted";
    notifyButton.ariaPressed = isAllowed && notifyButton.ariaPressed === "false";
    kept("localStorage", wish, notifyButton.ariaPressed);
    offerWords();
    if (!isAllowed) tell("Your browser does not allow notifications.");
  }

  const offerWords = () => (withWords.parentNode.hidden = notifyButton.ariaPressed !== "true");

  function notify(message) {
    if (notifyButton.ariaPressed !== "true" || !document.hidden) return;
    const body = withWords.checked ? lineOf(message) : "";
    try {
      notification = new Notification(`New message in ${document.querySelector("h1").textContent}`, { body, tag: wish });
      Object.assign(notification, { message, onclick: () => focus() });
    } catch {
      notifyPart.remove();
    }
  }

  // ---- Messages not seen yet.

  let unseen = [];
  const unseenLink = make("a");

  const isInView = (item) => edgesOf(item).top < lowerEdge() && edgesOf(item).bottom > 0;

  function showUnseen() {
    unseen = unseen.filter((item) => item.isConnected);
    if (!document.hidden && unseen.some(isInView)) unseen = [];
    if (!document.hidden || !notification?.message.isConnected) notification?.close();
    const number = unseen.length;
    document.title = document.hidden && number ? `(${number}) ${title}` : title;
    inPlace(() => {
      if (number) {
        unseenLink.href = `#${unseen[0].id}`;
        unseenLink.textContent = countOf(number);
        if (!unseenLink.isConnected) statusLine.after(unseenLink);
      } else if (document.activeElement !== unseenLink) unseenLink.remove();
    });
  }

  // ---- The announcer.

  const verbosity = log.dataset.announce;
  const regions = [byId("say-a"), byId("say-b")];
  let unsaid = [];
  let isAway = !document.hasFocus();
  let isCountEnough = false;
  let said;
  let saidAt = -Infinity;
  let typedAt = -Infinity;
  let speaking;

  function announce(items) {
    unseen.push(...items);
    showUnseen();
    if (items.length) notify(items.at(-1));
    if (verbosity === "none") return;
    if (verbosity === "count" && !unsaid.length) saidAt = performance.now() + 1_750;
    unsaid.push(...items);
    speakIn(0);
  }

  function speakIn(ms) {
    clearTimeout(speaking);
    speaking = setTimeout(speak, ms);
  }

  // Each key cuts off speech, so lines wait while the reader types.
  function speak() {
    unsaid = unsaid.filter((item) => item.isConnected);
    if (!unsaid.length) isCountEnough = false;
    if (!unsaid.length || isAway || isPaused) return;
    // Lines added together are spoken in any order.
    const early = Math.max(typedAt + 1_500, saidAt + 250) - performance.now();
    if (early > 0) return speakIn(early);
    const count = countOf(unsaid.length);
    const isCounted = isCountEnough || verbosity === "count";
    if (isCounted || unsaid.length > 5) {
      say(isCounted ? count : `${count}, last from ${lineOf(unsaid.at(-1))}`);
      unsaid = [];
    } else say(lineOf(unsaid.shift()));
    speakIn(0);
  }

  // Removing one line makes readers repeat the rest.
  function say(line) {
    if (regions[0].childElementCount >= 10 && !regions[1].firstChild) regions.reverse();
    const [region] = regions;
    said = unlike(said, line);
    saidAt = performance.now();
    const last = make("p", {}, said);
    region.append(last);
    setTimeout(() => region.lastChild === last && region.replaceChildren(), 10_000);
  }

  function lineOf(message) {
    const wordsIn = (node) => ({ A: "link", BR: " " })[node.nodeName] ?? node.textContent;
    const words = [...message.querySelector(".text").childNodes].map(wordsIn);
    let text = words.join("").replace(/\s+/g, " ").trim();
    if (text.length > 300) text = `${text.match(/^.{1,200}?[.!?…](?= )|^.{1,100}/u)} … long message`;
    return `${message.querySelector(".author bdi").textContent}: ${text}`;
  }

  // ---- Other rooms. Nothing is spoken.

  const rooms = byId("rooms");
  const unlisted = new Map(); // rooms that the list has no place for, and their new messages

  function showOtherRooms(counts) {
    const put = (entry, number) => (entry.querySelector(".count").textContent = number > 0 ? `${number} new` : "");
    for (const [, id, number] of counts.matchAll(/(\d+)=(\d+)/g)) {
      const entry = rooms.querySelector(`[data-room="${id}"]`);
      if (entry) put(entry, number);
      else unlisted.set(id, Number(number));
    }
    put(rooms.querySelector("[href='/rooms/mine']"), [...unlisted.values()].reduce((sum, number) => sum + number, 0));
  }

  // ---- Polling.

  let { cursor } = log.dataset;
  let failures = 0;
  let isOver = false;
  let isHurried = true; // the first answer sets the clock
  let crowdedUntil = -Infinity;
  let asking;
  let wake;

  const rest = (ms) =>
    new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, ms);
    });

  // A message may have been missed.
  function hurry() {
    if (document.hidden) return;
    isHurried = true;
    asking?.abort();
    wake?.();
  }

  async function follow() {
    isOver = false;
    while (!isOver) {
      // Browsers allow six connections per site.
      if (document.hidden) await rest(15_000);
      const pause = await ask();
      if (pause) await rest(pause);
    }
  }

  // Returns the milliseconds to rest.
  async function ask() {
    const isWaiting = !document.hidden && !isHurried && performance.now() >= crowdedUntil;
    isHurried = false;
    const isInterrupted = () => document.hidden || isHurried;
    const how = (isWaiting ? "" : "&wait=0") + (document.hidden ? "&hidden=1" : "");
    const request = (asking = new AbortController());
    // A silent connection may be dead.
    const timeout = setTimeout(isWaiting ? hurry : () => request.abort(), 40_000);
    try {
      const url = `${log.dataset.poll}?after=${cursor}&for=${reader}${how}`;
      const answer = await fetch(url, { redirect: "error", signal: request.signal });
      const { status, headers } = answer;
      if (status === 401) {
        if (!isWaiting) return endSignedOut();
        // Somebody may have just signed in in another tab.
        isHurried = true;
        return 1_000;
      }
      if (status === 409) return stop("You are now signed in as someone else. Reload the page to continue.");
      if (status === 403 || status === 404) {
        return stop(`You are no longer in this room.${status < 404 ? " Join it again in another tab." : ""}`);
      }
      if (!answer.ok) throw answer;
      const isReset = headers.has("Mirage-Reset");
      const told = headers.get("Mirage-Time") - performance.now();
      // A slow answer carries an old time.
      ahead = isReset ? told : Math.max(told, ahead - 1_000);
      const news = parse(await answer.text());
      cursor = headers.get("Mirage-Cursor");
      receive([...news.querySelectorAll("li[id]")], isReset);
      dropExpired();
      showOtherRooms(headers.get("Mirage-Rooms") ?? "");
      if (headers.has("Mirage-Changed")) tell("This room has changed. Reload the page.");
      if (headers.get("Mirage-Reset") === "restart") tell("The server has restarted. Earlier messages are gone.");
      else if (failures > 1) tell("Connected again.");
      failures = 0;
      // Once the reader is told, sending is consent.
      if (headers.has("Mirage-Public") && form?.elements.audience.value === "members" && !document.hidden) {
        form.elements.audience.value = "everyone";
        tell("This room is public now. Everyone who joins it can read what you send.");
      }
      if (headers.get("Mirage-Wait") === "0") crowdedUntil = performance.now() + 60_000;
      return performance.now() < crowdedUntil ? 5_000 : 0;
    } catch {
      if (isInterrupted()) return 0;
      failures += 1;
      if (failures === 2) tell("Connection lost. Trying again.");
      return Math.min(30_000, 1_000 * 2 ** failures) * (0.5 + Math.random() / 2);
    } finally {
      clearTimeout(timeout);
      if (isAway && document.hasFocus() && !isInterrupted()) {
        isAway = false;
        isCountEnough = true;
        speakIn(0);
      }
    }
  }

  function stop(sentence) {
    isOver = true;
    tell(form ? `${sentence} Your draft is still here.` : sentence);
  }

  // ---- The draft. The tab keeps it for the session and the room.

  const drafts = `draft ${log.dataset.session} `;
  const draft = drafts + form?.action;

  function restoreDraft() {
    // The browser would restore it for anybody.
    box.autocomplete = "off";
    const [, audience, text] = /^(\w+) ([^]+)$/.exec(kept("sessionStorage", draft)) ?? [];
    if (!text || box.value !== box.defaultValue) return;
    box.value = text;
    // What was written for the members stays theirs.
    form.elements.audience.value = audience;
  }

  const keepDraft = () => kept("sessionStorage", draft, box.value && `${form.elements.audience.value} ${box.value}`);

  function forgetDraftsOfOthers() {
    try {
      const isOther = (key) => key.startsWith("draft ") && !key.startsWith(drafts);
      for (const key of Object.keys(sessionStorage).filter(isOther)) sessionStorage.removeItem(key);
    } catch {} // there are none
  }

  // ---- Sending.

  // The server keeps the text until its author has signed in.
  const signIn = make("button", { type: "button", onclick: () => (form ? form.submit() : location.reload()) }, "Sign in");
  let isSending = false;
  let isMoreToSend;

  function endSignedOut() {
    statusLine.after(signIn);
    stop("You are signed out. Sign in to continue.");
  }

  // One at a time: each needs the nonce of the one before.
  async function send() {
    isMoreToSend = true;
    if (isSending) return;
    isSending = true;
    do isMoreToSend = false;
    while ((await sendOnce()) && isMoreToSend && box.value.trim());
    isSending = false;
  }

  async function sendOnce() {
    const text = box.value;
    const { nonce, audience } = form.elements;
    let answer;
    let page;
    try {
      answer = await fetch(form.action, {
        method: "POST",
        headers: { "Mirage-Script": "1" },
        body: new URLSearchParams(new FormData(form)),
        redirect: "error",
        signal: AbortSignal.timeout(30_000),
      });
      page = parse(await answer.text());
    } catch {
      // It may have arrived: the nonce prevents a duplicate.
      return tell("Not sent: connection lost. Your message is still in the box. Send it again.");
    }
    if (answer.status === 401) return endSignedOut();
    const problem = page.getElementById("message-problem");
    showProblem(problem);
    if (answer.status !== 204) {
      for (const field of [nonce, audience]) field.value = page.querySelector(`#write [name=${field.name}]`)?.value ?? field.value;
      const tooLong = answer.status === 413 && "Your message is far too long. The limit is 2,000 characters.";
      const reason = tooLong || (problem?.lastChild ?? page.getElementById("reason"))?.textContent.trim();
      return tell(`Not sent. ${reason ?? "Your message is still in the box. Send it again."}`);
    }
    nonce.value = answer.headers.get("Mirage-Nonce");
    // Keeps what was typed meanwhile.
    if (box.value.startsWith(text)) box.setRangeText("", 0, text.length);
    keepDraft();
    count();
    // Earlier, screen readers would read the text.
    if (compose.contains(document.activeElement)) box.focus({ preventScroll: true });
    tell("Sent");
    signIn.remove();
    if (isOver) follow();
    else wake?.();
    return true;
  }

  function showProblem(problem) {
    byId("message-problem")?.remove();
    if (problem) box.parentNode.before(problem);
    box.ariaInvalid = problem && "true";
    describe();
  }

  // The status line has just said the problem.
  const describe = () =>
    box.setAttribute("aria-describedby", `message-hint${document.activeElement === box ? "" : " message-problem"}`);

  const isDesk = matchMedia("(hover: hover) and (pointer: fine)").matches;
  const enterSends = makeChoice("enter-sends", "Enter sends", isDesk);

  function onKey(event) {
    typedAt = performance.now();
    // Not the Enter that ends a composition. Safari marks it only by its code.
    if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
    const isChosen = enterSends.checked && !event.shiftKey && !event.altKey;
    if (!isChosen && !event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    if (!event.repeat) form.requestSubmit();
  }

  const hint = byId("message-hint");
  const limit = hint?.textContent;
  let isNear = false;

  // The server counts characters too, not UTF-16 units.
  function count() {
    const left = 2_000 - [...box.value.trim()].length;
    const wasNear = isNear;
    isNear = left <= 200;
    hint.classList.toggle("near", isNear);
    const words = isNear ? `${Math.abs(left)} characters ${left < 0 ? "too many" : "left"}.` : limit;
    if (hint.textContent !== words) hint.textContent = words;
    if (isNear && !wasNear) tell(words);
    if (CSS.supports("field-sizing", "content")) return;
    box.style.height = "auto";
    box.style.height = `${box.scrollHeight + 2}px`;
  }

  function onInput(event) {
    onKey(event);
    count();
  }

  // A growing box and a keyboard leave a conversation at its end.
  let wasAtEnd = false;
  const note = () => (wasAtEnd = isAtEnd());

  function fit() {
    document.documentElement.style.setProperty("--box", `${edgesOf(compose).height}px`);
    if (wasAtEnd && !isAtEnd()) scrollBy(0, edgesOf(section).bottom - lowerEdge());
  }

  // A column stays in view if all of it fits below the bar.
  function fitColumns() {
    const room = innerHeight - edgesOf(document.querySelector("header")).height;
    for (const column of [rooms, byId("about")]) column.classList.toggle("fits", edgesOf(column).height <= room);
  }

  function submit(event) {
    if (event.submitter?.name === "check") return;
    event.preventDefault();
    send();
  }

  // ---- Start.

  function goLive() {
    showPause();
    updates.prepend(pauseButton, " ");
    offerNotifications();
    byId("reload").remove();
    showOtherRooms(rooms.dataset.others ?? "");
    addEventListener("pagehide", () => notification?.close());
    if (form) {
      form.onsubmit = submit;
      box.addEventListener("input", keepDraft);
      restoreDraft();
      count();
    }
    addEventListener("scroll", () => unseen.some(isInView) && showUnseen(), { passive: true });
    addEventListener("online", hurry);
    addEventListener("focus", hurry);
    addEventListener("blur", () => (isAway = true));
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) {
        isAway = true;
        asking?.abort();
      }
      dropExpired();
      showUnseen();
      hurry();
    });
    follow();
  }

  forgetDraftsOfOthers();
  const all = messages();
  all.forEach(localise);
  const lost = document.querySelector("#lost time");
  if (lost) {
    lost.textContent = new Date(lost.dateTime).toLocaleString(undefined, { dateStyle: "long", timeStyle: "short" });
    lost.lang = lang;
  }
  if (scrollY) inPlace(() => rebuild(all));
  else rebuild(all);
  dropExpired();
  if (form) {
    byId("compose").append(enterSends.parentNode);
    box.onkeydown = onKey;
    box.oninput = onInput;
    box.onblur = describe;
  }
  // The rebuilt list has lost where the fragment leads.
  const isArrival = performance.getEntriesByType("navigation")[0]?.type === "navigate";
  if (isArrival && (!location.hash || location.hash === "#now")) location.replace("#now");
  if (compose) {
    compose.classList.remove("sent");
    note();
    new ResizeObserver(fit).observe(compose);
    addEventListener("resize", fit);
    addEventListener("scroll", note, { passive: true });
  }
  const columns = new ResizeObserver(fitColumns);
  for (const part of [rooms, byId("about")]) columns.observe(part);
  addEventListener("resize", fitColumns);
  if (log.dataset.poll) goLive();

  let lookedAt = Date.now();
  setInterval(() => {
    // The computer slept.
    if (Date.now() - lookedAt > 10_000) hurry();
    lookedAt = Date.now();
    dropExpired();
    // The reader has heard the lead of the title.
    if (!isAway && title !== log.dataset.title && performance.now() > 5_000) {
      ({ title } = log.dataset);
      showUnseen();
    }
  }, 1_000);
})();
