// Every page, in every state, passes all automatic checks, and is readable and usable at every screen
// size, at every text size, and by keyboard.

import { violationsIn } from './axe.js';
import { validate } from './htmlvalidate.js';
import {
  visibleControls,
  controlsWithoutBorders,
  isDrawn,
  overlongLines,
  overflowsAndOverlaps,
  setTextSize,
  setTextSpacing,
  smallTargets,
  tabThrough,
  expectedTabStops,
  animatedElements,
  visibleWords,
} from './layout.js';
import { routesOfPages, STATES } from './pages.js';
import { expect, test } from './site.js';
import { problemsOf } from './support.js';

const LAPTOP = { width: 1280, height: 1024 };
/** The laptop at a zoom of 400 %. */
const ZOOMED = { width: 320, height: 256 };

test('every page route is in the table of states', () => {
  const listed = new Set(STATES.map((state) => state.at));
  const pages = routesOfPages();

  expect(pages).toContain('/');
  expect(pages.filter((pattern) => !listed.has(pattern))).toEqual([]);
});

// One test per state, because reaching a state is slow. Soft assertions report all problems at once.
for (const state of STATES) {
  test(`${state.name}`, async ({ visit }) => {
    const { page, html } = await visit(state, { viewport: LAPTOP });
    const none = (faults, where) => expect.soft(faults, where).toEqual([]);
    const atFirst = await page.evaluate(visibleWords);

    none(await validate(html), 'html-validate');
    none(await violationsIn(page), 'axe');

    none(await page.evaluate(animatedElements), 'animated or fixed elements');
    none(await page.evaluate(smallTargets), 'small targets');
    none(await page.evaluate(overlongLines), 'long lines');
    none(await page.evaluate(overflowsAndOverlaps), 'overflow or overlap');
    await page.evaluate(setTextSpacing, true);
    none(await page.evaluate(overflowsAndOverlaps), 'overflow or overlap with more text spacing');
    await page.evaluate(setTextSpacing, false);
    await page.evaluate(setTextSize, '200%');
    none(await page.evaluate(overflowsAndOverlaps), 'overflow or overlap with text twice as large');
    await page.evaluate(setTextSize, '');

    await page.setViewportSize(ZOOMED);
    none(await page.evaluate(overflowsAndOverlaps), 'overflow or overlap when zoomed');
    none(await page.evaluate(smallTargets), 'small targets when zoomed');
    expect.soft(await page.evaluate(visibleWords), 'visible words when zoomed').toEqual(atFirst);
    await page.evaluate(setTextSpacing, true);
    none(await page.evaluate(overflowsAndOverlaps), 'overflow or overlap when zoomed with more text spacing');
    await page.evaluate(setTextSpacing, false);

    // A room that changes its height stays at its end: it scrolls before it is drawn.
    await page.evaluate(isDrawn);
    const { stops, faults } = await tabThrough(page);
    none(faults, 'focus style at tab stops');
    expect.soft(stops.sort(), 'tab stops').toEqual(await page.evaluate(expectedTabStops));

    await page.emulateMedia({ forcedColors: 'active' });
    none(await page.evaluate(controlsWithoutBorders), 'controls without borders in forced colours');
    await page.emulateMedia({ forcedColors: 'none', media: 'print' });
    none(await page.evaluate(visibleControls), 'controls in print');
  });
}

test('headings have room for fonts with taller letters than those of the tests', async ({ visit }) => {
  const { page } = await visit(stateNamed('room, many messages'), { viewport: LAPTOP });
  // The metrics of Noto Sans.
  await page.evaluate(() => {
    const sheet = new CSSStyleSheet();
    sheet.replaceSync('* { font-family: Tall !important }');
    document.adoptedStyleSheets = [sheet];
    const metrics = { ascentOverride: '106.9%', descentOverride: '29.3%', lineGapOverride: '0%' };
    const face = new FontFace('Tall', 'local("DejaVu Sans")', metrics);
    document.fonts.add(face);
    return face.load();
  });

  expect(await page.evaluate(overflowsAndOverlaps)).toEqual([]);
});

test.describe('without scripts', () => {
  for (const state of STATES.filter(({ problem }) => problem)) {
    test(`${state.name}: the error summary has the focus`, async ({ visit }) => {
      const { page } = await visit(state, { javaScriptEnabled: false });

      await expect(problemsOf(page)).toBeFocused();
      await problemsOf(page).getByRole('link').first().press('Enter');
      await expect(page.locator('[aria-invalid=true], [type=radio]').and(page.locator(':focus'))).toBeVisible();
    });
  }
});

test('a skip link is the first tab stop and leads to the main content', async ({ visit }) => {
  const { page } = await visit(stateNamed('home'));

  await page.keyboard.press('Tab');
  const link = page.getByRole('link', { name: 'Skip to main content' });
  await expect(link).toBeFocused();
  await expect(link).toBeInViewport({ ratio: 1 });
  await page.keyboard.press('Enter');

  await expect(page.getByRole('main')).toBeFocused();
});

test('in a room, a second skip link leads to the message box', async ({ visit }) => {
  const { page } = await visit(stateNamed('room, many messages'));

  // The page starts at what is new: from the top, as somebody goes who looks for the menu.
  await page.locator('body').evaluate((body) => {
    body.tabIndex = -1;
    body.focus();
    body.removeAttribute('tabindex');
  });
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to messages' })).toBeFocused();
  await page.keyboard.press('Tab');
  const link = page.getByRole('link', { name: 'Skip to write a message' });
  await expect(link).toBeFocused();
  await expect(link).toBeInViewport({ ratio: 1 });
  await page.keyboard.press('Enter');

  await expect(page.getByRole('textbox', { name: /^Message to / })).toBeFocused();
});

test('a printed room shows its name, and days, authors, texts and times of messages', async ({ visit }) => {
  const { page } = await visit(stateNamed('room, a talk'));
  await page.emulateMedia({ media: 'print' });

  await expect(page.getByRole('heading', { name: 'Kettle club' })).toBeVisible();
  const messages = page.getByRole('region', { name: 'Messages' });
  await expect(messages.getByRole('heading', { level: 3 }).first()).toBeVisible();
  await expect(messages.getByText('bob').first()).toBeVisible();
  await expect(messages.getByText('Is anybody in the kitchen?')).toBeVisible();
  await expect(messages.getByRole('time').first()).toBeVisible();
  await expect(page.getByRole('link', { name: 'Older messages' })).toBeHidden();
  await expect(page.getByRole('log')).toBeHidden();
});

function stateNamed(name) {
  return STATES.find((state) => state.name === name);
}

