// What the checker says in Markdown, as elements. Raw HTML stays text: a comment of a spec that
// somebody sent as a link is shown, never run.

import MarkdownIt from "markdown-it";

const reader = new MarkdownIt({ html: false, linkify: false });
reader.validateLink = (url) => /^https?:/i.test(url);

export function markdown(text) {
  const dom = document.createElement("div");
  dom.className = "markdown";
  dom.innerHTML = reader.render(text);
  for (const link of dom.querySelectorAll("a")) Object.assign(link, { target: "_blank", rel: "noopener" });
  return dom;
}
