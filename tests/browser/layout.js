// Checks of layout and keyboard navigation.

/** Presses Tab through the whole page; returns all tab stops, and the faults of their focus style. */
export async function tabThrough(page) {
  const stops = new Set();
  const faults = [];
  await page.evaluate(startBeforeFirstElement);
  for (;;) {
    await page.keyboard.press('Tab');
    const { stop, fault } = await page.evaluate(describeFocus);
    if (stops.has(stop) || stop === null) return { stops: [...stops], faults };
    stops.add(stop);
    if (fault) faults.push(`${stop}: ${fault}`);
  }
}

// The functions below run in the page.

/** Waits until the browser has drawn what there is now. */
export function isDrawn() {
  return new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
}

/** Labels every element, and puts the focus before the first one. */
function startBeforeFirstElement() {
  document.querySelectorAll('body *').forEach((element, index) => {
    const what = element.id || element.textContent.trim().slice(0, 40);
    element.dataset.stop = `${String(index).padStart(4, '0')} ${element.tagName} ${what}`;
  });
  document.body.tabIndex = -1;
  document.body.focus();
  document.body.removeAttribute('tabindex');
  getSelection().collapse(document.body, 0);
}

function describeFocus() {
  const element = document.activeElement;
  if (!element || element === document.body) return { stop: null };
  const luminanceOf = (colour) => {
    const [r, g, b] = colour.match(/[\d.]+/g).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const { outlineStyle, outlineWidth, outlineColor } = getComputedStyle(element);
  const ground = getComputedStyle(document.body).backgroundColor;
  const [dark, light] = [luminanceOf(outlineColor), luminanceOf(ground)].sort((a, b) => a - b);
  const [box] = element.getClientRects();
  // The visible part of a box that may be taller than the window.
  const [top, bottom] = [Math.max(box.top, 0), Math.min(box.bottom, innerHeight)];
  const onTop = document.elementFromPoint(box.left + box.width / 2, (top + bottom) / 2);
  const faults = [
    [outlineStyle !== 'solid' || parseFloat(outlineWidth) < 2, `outline ${outlineStyle} ${outlineWidth}`],
    [(light + 0.05) / (dark + 0.05) < 3, `outline ${outlineColor} on ${ground}`],
    [!element.contains(onTop), `covered by ${onTop?.outerHTML.slice(0, 80)}`],
  ];
  return { stop: element.dataset.stop, fault: faults.find(([isSo]) => isSo)?.[1] };
}

/** The expected tab stops: all controls, but only one radio button per group. */
export function expectedTabStops() {
  const all = document.querySelectorAll('a[href], button, summary, input:not([type=hidden]), select, textarea');
  // What a closed menu holds is not visible.
  const ways = [...all].filter((way) => way.checkVisibility());
  const sets = new Set();
  const stops = ways.filter((way) => {
    if (way.type !== 'radio') return true;
    const set = [...document.getElementsByName(way.name)];
    const chosen = set.find((radio) => radio.checked) ?? set[0];
    return way === chosen && !sets.has(way.name) && sets.add(way.name);
  });
  return stops.map((stop) => stop.dataset.stop).sort();
}

/** The words of the page and of its closed menus, but not of the buttons that open these. */
export function visibleWords() {
  const closed = [...document.querySelectorAll('details:not([open])')];
  const buttons = [...document.querySelectorAll('summary')].filter((button) => button.checkVisibility());
  for (const menu of closed) menu.open = true;
  const words = document.body.innerText.split(/\s+/).sort();
  for (const menu of closed) menu.open = false;
  // In a room, narrow windows show the way back and wide ones the site's name; both lead to one's rooms.
  const ways = [...document.querySelectorAll('.room .site, .room .back')].filter((way) => way.checkVisibility());
  const others = [...buttons, ...ways].flatMap((other) => other.innerText.trim().split(/\s+/));
  for (const word of others) words.splice(words.indexOf(word), 1);
  return words;
}

export function animatedElements() {
  const moving = [...document.querySelectorAll('*')].filter((element) => {
    const style = getComputedStyle(element);
    const isAnimated = style.animationName !== 'none' || /[1-9]/.test(style.transitionDuration);
    const maySitStill = element.matches('.room header, .talk h1, #compose, .fits');
    const isStuck = style.position === 'fixed' || (style.position === 'sticky' && !maySitStill);
    return isAnimated || isStuck || style.scrollBehavior !== 'auto';
  });
  return moving.map((element) => element.outerHTML.slice(0, 80));
}

/** Targets below 44 pixels, except links in sentences. The label of a radio button belongs to its target. */
export function smallTargets() {
  const isInSentence = (link) => {
    const sentence = link.closest('p, li')?.cloneNode(true);
    sentence?.querySelectorAll('a, button').forEach((other) => other.remove());
    return /\p{L}/u.test(sentence?.textContent) && !link.matches('.delete');
  };
  const boxOf = (target) => {
    const boxes = [target, ...(target.labels ?? [])].map((part) => part.getBoundingClientRect());
    const span = (from, to) =>
      Math.max(...boxes.map((box) => box[to])) - Math.min(...boxes.map((box) => box[from]));
    return target.matches('[type=radio], [type=checkbox]')
      ? { width: span('left', 'right'), height: span('top', 'bottom') }
      : boxes[0];
  };
  const targets = document.querySelectorAll('a[href], button, summary, input:not([type=hidden]), select, textarea');
  return [...targets]
    .filter((target) => target.checkVisibility())
    .filter((target) => !(target.matches('a') && isInSentence(target)))
    .map((target) => ({ target, box: boxOf(target) }))
    .filter(({ box }) => Math.min(box.width, box.height) < 43.99)
    .map(({ target, box }) => `${box.width}×${box.height} ${target.outerHTML.slice(0, 80)}`);
}

/** Paragraphs with lines of more than 80 characters, each as wide as the digit 0. */
export function overlongLines() {
  const ruler = document.createElement('p');
  ruler.textContent = '0'.repeat(80);
  ruler.style.cssText = 'position: absolute; width: max-content; overflow-wrap: normal';
  document.body.append(ruler);
  const longest = ruler.getBoundingClientRect().width;
  ruler.remove();
  return [...document.querySelectorAll('p, li')]
    .filter((block) => block.clientWidth > longest && !block.closest('.vh'))
    .map((block) => block.outerHTML.slice(0, 80));
}

/** Elements that overflow the page, are cut off, or overlap other text. */
export function overflowsAndOverlaps() {
  const faults = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) faults.push(`${root.scrollWidth} > ${root.clientWidth}`);
  // What a closed menu holds is not visible either.
  const isHiddenOnPurpose = (element) =>
    !element.checkVisibility() ||
    element.closest('.vh, .skip:not(:focus)') ||
    getComputedStyle(element).clipPath === 'inset(50%)';
  // What sticks to an edge of the window covers the text below it on purpose.
  const loose = new CSSStyleSheet();
  loose.replaceSync('.room header, .talk h1, #compose, .fits { position: static !important }');
  document.adoptedStyleSheets.push(loose);
  // A Delete link is taller than its line, and lies above the lines beside it.
  const withoutDelete = new CSSStyleSheet();
  withoutDelete.replaceSync('#log .delete { display: none !important }');
  document.adoptedStyleSheets.push(withoutDelete);
  for (const element of document.querySelectorAll('body *')) {
    if (isHiddenOnPurpose(element)) continue;
    const isCut =
      element.clientWidth > 0 &&
      (element.scrollWidth > element.clientWidth + 1 ||
        (element.scrollHeight > element.clientHeight + 1 && !element.matches('textarea')));
    // The bar has two lines for the room's name. The whole name is in the link to leave the room.
    if (isCut && !element.matches('input, .talk h1, .talk h1 bdi')) faults.push(`too small: ${element.outerHTML.slice(0, 80)}`);
  }
  document.adoptedStyleSheets.pop();
  const lines = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const text = texts.currentNode;
    if (!text.data.trim() || isHiddenOnPurpose(text.parentElement)) continue;
    const range = document.createRange();
    range.selectNodeContents(text);
    const isClamped = getComputedStyle(text.parentElement).webkitLineClamp !== 'none';
    const end = isClamped ? text.parentElement.getBoundingClientRect().bottom - 2 : Infinity;
    const boxes = [...range.getClientRects()].filter((box) => box.width > 1 && box.top < end);
    // The line that is cut off is there twice: with its ellipsis, and without.
    const distinct = boxes.filter((box, index) => !isClamped || box.top !== boxes[index - 1]?.top);
    lines.push(...distinct.map((box) => ({ text, box })));
  }
  lines.sort((a, b) => a.box.top - b.box.top);
  lines.forEach(({ text, box }, index) => {
    for (let next = index + 1; next < lines.length; next += 1) {
      const other = lines[next];
      if (other.box.top > box.bottom) break;
      const across = Math.min(box.right, other.box.right) - Math.max(box.left, other.box.left);
      const down = box.bottom - other.box.top;
      if (across > 2 && down > 6) faults.push(`“${text.data.trim()}” runs into “${other.text.data.trim()}”`);
    }
  });
  document.adoptedStyleSheets.pop();
  return faults;
}

/** Applies the text spacing of WCAG 1.4.12. */
export function setTextSpacing(isOn) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(`
    * { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important }
    p { margin-bottom: 2em !important }
  `);
  document.adoptedStyleSheets = isOn ? [sheet] : [];
}

export function setTextSize(size) {
  document.documentElement.style.fontSize = size;
}

export function controlsWithoutBorders() {
  const controls = document.querySelectorAll('button, .button, input:not([type=hidden]), select, textarea');
  return [...controls]
    .filter((control) => !control.matches('[type=radio], [type=checkbox]'))
    .filter((control) => {
      const style = getComputedStyle(control);
      const isEdged = style.borderTopStyle === 'solid' && parseFloat(style.borderTopWidth) >= 1;
      const isSeen = style.borderTopColor !== getComputedStyle(document.body).backgroundColor;
      return !isEdged || !isSeen || style.forcedColorAdjust !== 'auto';
    })
    .map((control) => control.outerHTML.slice(0, 80));
}

export function visibleControls() {
  const controls = document.querySelectorAll('nav, form:not(#write), button, input, select, textarea, .skip, [role=log], [aria-live]');
  return [...controls]
    .filter((control) => control.checkVisibility())
    .map((control) => control.outerHTML.slice(0, 80));
}
