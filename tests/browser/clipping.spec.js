// Text that is taller than its line or wider than the page: what it paints stays in its own box.

import { expect, register, say, submit, test, visit } from './support.js';

const MARKS = '\u0301\u0302\u0303\u0304\u0305\u0306\u0307\u0308\u0309'.repeat(2);

/** Texts of up to `length` characters. */
const TEXTS = {
  'a letter with many vowel signs': (length) => `\u0b85${'\u0bcc'.repeat(length - 1)}`,
  // Mirage keeps eight marks on each letter.
  'letters with 18 stacked marks': (length) => `Z${MARKS}`.repeat(Math.min(8, Math.floor(length / 9))),
  // One grapheme cluster, however many there are: browsers do not break it into lines.
  'letters that begin a Hangul syllable': (length) => '\u1100'.repeat(length),
};

// Tall, so that these pages do not scroll, and nothing that sticks to an edge of the window covers a neighbour.
test.use({ viewport: { width: 320, height: 1600 } });

for (const [kind, textOf] of Object.entries(TEXTS)) {
  test(`a message of ${kind} stays in its box`, async ({ room, ada, bob }) => {
    const text = textOf(1999);
    await say(ada, room, 'Before');
    await say(bob, room, text);
    await say(ada, room, 'After');

    await visit(ada, room);

    await expectInBoxes(ada, text);
  });

  test(`names of ${kind} stay in their boxes`, async ({ ada, bob }) => {
    const [roomName, personName] = [textOf(64), textOf(32)];
    await Promise.all([register(ada, 'ada'), register(bob, personName)]);
    await submit(ada, '/rooms/new', { name: 'Kettle club', kind: 'public' });
    const room = await submit(ada, '/rooms/new', { name: roomName, kind: 'public' });
    await submit(bob, `${room}/join`, { join: '1' });
    await say(bob, room, 'Hello');

    await visit(ada, room);
    await expectInBoxes(ada, roomName, personName);
    await ada.goto(`${room}/members`);
    await expectInBoxes(ada, roomName, personName);
    await ada.goto('/rooms');
    await expectInBoxes(ada, roomName);
    await ada.goto('/rooms/mine');
    await expectInBoxes(ada, roomName);
  });
}

const BLOCKS = 'h1, h2, h3, p, li, label, nav, button';
const INNERMOST_BLOCK = `:is(${BLOCKS}):not(.vh, :has(${BLOCKS}))`;

/** Checks the page's width, and that no block with one of these texts paints anything above or below itself. */
async function expectInBoxes(page, ...texts) {
  const faults = await page.evaluate(() => {
    const { scrollWidth, clientWidth } = document.documentElement;
    return scrollWidth > clientWidth ? [`the page is ${scrollWidth} pixels wide`] : [];
  });
  const blank = await page.context().newPage();
  for (const text of texts) {
    // Names are shown in NFC, messages as they were written.
    const start = new RegExp([text, text.normalize()].map((text) => text.slice(0, 2)).join('|'));
    const blocks = await page.locator(INNERMOST_BLOCK).filter({ hasText: start }).all();
    expect(blocks, 'blocks with the text').not.toHaveLength(0);
    for (const block of blocks) {
      if (await paintsOutside(page, blank, block)) faults.push(await block.evaluate((block) => block.outerHTML));
    }
  }
  await blank.close();
  expect.soft(faults, page.url()).toEqual([]);
}

/** Whether the pictures of the page above and below a block change with the block's text. */
async function paintsOutside(page, blank, block) {
  const around = await block.evaluate((block) => {
    // The style sheet leaves this room for tall letters and focus outlines.
    const margin = 0.375 * parseFloat(getComputedStyle(document.documentElement).fontSize);
    const box = block.getBoundingClientRect();
    const [top, bottom] = [Math.floor(box.top + scrollY - margin), Math.ceil(box.bottom + scrollY + margin)];
    const { clientWidth: width, scrollHeight } = document.documentElement;
    return [
      { x: 0, y: 0, width, height: top },
      { x: 0, y: bottom, width, height: scrollHeight - bottom },
    ].filter(({ height }) => height > 0);
  });
  const photograph = async () => {
    const pictures = [];
    for (const clip of around) pictures.push((await page.screenshot({ clip, fullPage: true })).toString('base64'));
    return pictures;
  };
  let isPainted;
  // Until nothing else on the page, such as who is here, changes meanwhile.
  await expect(async () => {
    const before = await photograph();
    // Backgrounds, borders and the layout stay.
    await block.evaluate((block) => block.style.setProperty('-webkit-text-fill-color', 'transparent'));
    const without = await photograph();
    await block.evaluate((block) => block.style.removeProperty('-webkit-text-fill-color'));
    const after = await photograph();
    expect(await blank.evaluate(areDifferent, [before, after]), 'the page changes by itself').toBe(false);
    isPainted = await blank.evaluate(areDifferent, [before, without]);
  }).toPass();
  return isPainted;
}

/** Runs in a blank page: whether pictures differ by more than rounding, which paint that goes elsewhere changes. */
async function areDifferent([pictures, others]) {
  const pixelsOf = async (picture) => {
    const response = await fetch(`data:image/png;base64,${picture}`);
    const image = await createImageBitmap(await response.blob());
    const context = new OffscreenCanvas(image.width, image.height).getContext('2d');
    context.drawImage(image, 0, 0);
    return context.getImageData(0, 0, image.width, image.height).data;
  };
  for (const [index, picture] of pictures.entries()) {
    const [pixels, otherPixels] = [await pixelsOf(picture), await pixelsOf(others[index])];
    if (pixels.length !== otherPixels.length) return true;
    if (pixels.some((value, place) => Math.abs(value - otherPixels[place]) > 16)) return true;
  }
  return false;
}
