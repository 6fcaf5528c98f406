// Every page, in every state, passes all the rules that programs can check, and can be read and worked
// whatever the screen, the text size and the hands.

import { violationsIn } from './axe.js';
import { validate } from './htmlvalidate.js';
import {
  controlsShown,
  controlsWithoutEdges,
  linesTooLong,
  misfits,
  setTextSize,
  setTextSpacing,
  smallTargets,
  walk,
  waysIn,
  whatMoves,
  wordsShown,
} from './layout.js';
import { routesOfPages, STATES } from './pages.js';
import { expect, test } from './site.js';
import { problemsOf } from './support.js';

const LAPTOP = { width: 1280, height: 1024 };
/** The laptop at a zoom of 400 %. */
const ZOOMED = { width: 320, height: 256 };

test('every page of the URL table is in the table of states', () => {
  const listed = new Set(STATES.map((state) => state.at));
  const pages = routesOfPages();

  expect(pages).toContain('/');
  expect(pages.filter((pattern) => !listed.has(pattern))).toEqual([]);
});

// One test a state, as going there takes longer than a look; the looks are soft, so that all speak.
for (const state of STATES) {
  test(`${state.name}`, async ({ visit }) => {
    const { page, html } = await visit(state, { viewport: LAPTOP });
    const none = (faults, where) => expect.soft(faults, where).toEqual([]);
    const atFirst = await page.evaluate(wordsShown);

    none(await validate(html), 'html-validate');
    none(await violationsIn(page), 'axe');

    none(await page.evaluate(whatMoves), 'moves');
    none(await page.evaluate(smallTargets), 'small');
    none(await page.evaluate(linesTooLong), 'long lines');
    none(await page.evaluate(misfits), 'as it comes');
    await page.evaluate(setTextSpacing, true);
    none(await page.evaluate(misfits), 'with more text spacing');
    await page.evaluate(setTextSpacing, false);
    await page.evaluate(setTextSize, '200%');
    none(await page.evaluate(misfits), 'with text twice as large');
    await page.evaluate(setTextSize, '');

    await page.setViewportSize(ZOOMED);
    none(await page.evaluate(misfits), 'zoomed');
    none(await page.evaluate(smallTargets), 'small, zoomed');
    expect.soft(await page.evaluate(wordsShown), 'words that are shown, zoomed').toEqual(atFirst);
    await page.evaluate(setTextSpacing, true);
    none(await page.evaluate(misfits), 'zoomed, with more text spacing');
    await page.evaluate(setTextSpacing, false);

    const { stops, faults } = await walk(page);
    none(faults, 'on the way by keyboard');
    expect.soft(stops.sort(), 'stops on the way by keyboard').toEqual(await page.evaluate(waysIn));

    await page.emulateMedia({ forcedColors: 'active' });
    none(await page.evaluate(controlsWithoutEdges), 'in forced colours');
    await page.emulateMedia({ forcedColors: 'none', media: 'print' });
    none(await page.evaluate(controlsShown), 'in print');
  });
}

test.describe('where scripts are off', () => {
  for (const state of STATES.filter(({ problem }) => problem)) {
    test(`${state.name}: the reader is put at the summary of what is wrong`, async ({ visit }) => {
      const { page } = await visit(state, { javaScriptEnabled: false });

      await expect(problemsOf(page)).toBeFocused();
      await problemsOf(page).getByRole('link').first().press('Enter');
      await expect(page.locator('[aria-invalid=true], [type=radio]').and(page.locator(':focus'))).toBeVisible();
    });
  }
});

test('a skip link is the first stop, and leads to the main part', async ({ visit }) => {
  const { page } = await visit(stateNamed('home'));

  await page.keyboard.press('Tab');
  const link = page.getByRole('link', { name: 'Skip to main content' });
  await expect(link).toBeFocused();
  await expect(link).toBeInViewport({ ratio: 1 });
  await page.keyboard.press('Enter');

  await expect(page.getByRole('main')).toBeFocused();
});

test('in a room, a second skip link leads to the box', async ({ visit }) => {
  const { page } = await visit(stateNamed('room, many messages'));

  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to messages' })).toBeFocused();
  await page.keyboard.press('Tab');
  const link = page.getByRole('link', { name: 'Skip to write a message' });
  await expect(link).toBeFocused();
  await expect(link).toBeInViewport({ ratio: 1 });
  await page.keyboard.press('Enter');

  await expect(page.getByRole('textbox', { name: 'Message' })).toBeFocused();
});

test('a printed room is its name, its days, and who wrote what and when', async ({ visit }) => {
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

