// Times that a page says in some zone, in the reader's own. Without scripts they stay as they are.
const said = new Intl.DateTimeFormat(document.documentElement.lang, {
  month: "long", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23",
});
for (const time of document.querySelectorAll("time[datetime]")) {
  time.title = time.textContent;
  time.textContent = `${said.format(new Date(time.dateTime))} your time`;
}
