// Validation of the HTML that the server sends.

import { HtmlValidate, StaticConfigLoader } from 'html-validate';

const validator = new HtmlValidate(
  new StaticConfigLoader({
    root: true,
    extends: ['html-validate:recommended', 'html-validate:a11y', 'html-validate:standard'],
    rules: {
      // Search engines cut titles at 70 characters. Ours start with the specific part of the page, which may
      // be a room name of up to 64 characters or a search query.
      'long-title': 'off',
    },
  }),
);

/** Returns the problems of a page, as sentences. */
export async function validate(html) {
  const { results } = await validator.validateString(html);
  return results
    .flatMap((result) => result.messages)
    .map(({ ruleId, message, line, column }) => `${line}:${column} ${ruleId}: ${message}`);
}
