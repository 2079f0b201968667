/** The language of the page, as `index.html` says it: numbers and dates are written as its sentences are,
 * whatever the browser's language is. */
export const LANGUAGE = "en";
