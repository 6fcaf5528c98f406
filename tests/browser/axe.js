// Accessibility violations that axe-core finds on a page.

import axe from 'axe-core/axe.min.js';

const RULES = {
  runOnly: [
    ...['wcag2a', 'wcag2aa', 'wcag2aaa', 'wcag21a', 'wcag21aa', 'wcag21aaa'],
    ...['wcag22a', 'wcag22aa', 'wcag22aaa', 'best-practice'],
  ],
  // These rules are off by default.
  rules: {
    'color-contrast-enhanced': { enabled: true },
    'identical-links-same-purpose': { enabled: true },
    'meta-refresh-no-exceptions': { enabled: true },
    'target-size': { enabled: true },
  },
  resultTypes: ['violations'],
};

/** The rules about colours, which are all that differs in dark colours. */
const RULES_OF_COLOURS = {
  runOnly: ['cat.color'],
  rules: { 'color-contrast-enhanced': { enabled: true } },
  resultTypes: ['violations'],
};

/** Returns the violations in light and in dark colours, as sentences. */
export async function violationsIn(page) {
  // Without `undefined`, evaluate would return the axe object.
  await page.evaluate(`${axe.source}; undefined`);
  const found = [];
  for (const [colorScheme, rules] of [
    ['light', RULES],
    ['dark', RULES_OF_COLOURS],
  ]) {
    await page.emulateMedia({ colorScheme });
    found.push(...(await page.evaluate(violations, rules)).map((violation) => `${colorScheme}: ${violation}`));
  }
  return found;
}

/** Runs in the page. */
async function violations(rules) {
  const { violations } = await window.axe.run(rules);
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, html }) => `${id}: ${help}: ${target} ${html}`),
  );
}
