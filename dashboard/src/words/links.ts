/** A text in parts: addresses of an origin become links; others, and all else, stay text. */
export function linked(text: string, origin: string): { text: string; href?: string }[] {
  const parts: { text: string; href?: string }[] = [];
  let from = 0;
  for (const found of text.matchAll(/https?:\/\/[^\s<>"]+[^\s<>".,;:!?)]/g)) {
    const url = URL.canParse(found[0]) ? new URL(found[0]) : null;
    // A demonstration may be reached by another name than the one its mails were written for.
    if (url === null || (url.origin !== origin && !isLoopback(url.hostname))) continue;
    if (found.index > from) parts.push({ text: text.slice(from, found.index) });
    parts.push({ text: found[0], href: `${url.pathname}${url.search}` });
    from = found.index + found[0].length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

const isLoopback = (host: string): boolean => /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(host);
