// The rules for HTML as the server sends it.

import { HtmlValidate, StaticConfigLoader } from 'html-validate';

const validator = new HtmlValidate(
  new StaticConfigLoader({
    root: true,
    extends: ['html-validate:recommended', 'html-validate:a11y', 'html-validate:standard'],
    rules: {
      // Its 70 characters are what search engines show. Titles begin with what is special about a page,
      // which may be a room's name of up to 64 characters or what somebody searched for.
      'long-title': 'off',
    },
  }),
);

/** What is wrong with a page, as sentences. */
export async function validate(html) {
  const { results } = await validator.validateString(html);
  return results
    .flatMap((result) => result.messages)
    .map(({ ruleId, message, line, column }) => `${line}:${column} ${ruleId}: ${message}`);
}
