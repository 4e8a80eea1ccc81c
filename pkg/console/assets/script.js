// The script of Tollgate's console: the link's token, live updates, times in the viewer's zone.
"use strict";
(() => {
  const root = document.documentElement;
  const kept = (name, value) => {
    try { return value === undefined ? localStorage.getItem(name) : localStorage.setItem(name, value); } catch { return null; }
  };
  const themes = { "": "Auto", light: "Light", dark: "Dark" };
  const theme = (name) => { name ? root.dataset.theme = name : delete root.dataset.theme; };
  theme(themes[kept("theme")] ? kept("theme") : "");

  // The token of the link is in the fragment: it goes to the server once, in a POST's body.
  async function unlock() {
    const token = location.hash.slice(1);
    history.replaceState(null, "", location.pathname + location.search);
    if (!/^[A-Z2-7]{20,}$/.test(token)) return;
    const answer = await fetch("/session", { method: "POST", body: new URLSearchParams({ token }) });
    if (answer.ok) return location.reload();
    const expired = document.querySelector("[data-expired]");
    if (expired) expired.hidden = false;
  }

  // Times
  const utc = () => kept("zone") === "utc";
  function shown(t, now) {
    const zone = utc() ? { timeZone: "UTC" } : {};
    const day = (d) => d.toLocaleDateString("sv-SE", zone);
    const time = t.toLocaleTimeString("en-GB", { ...zone, hour12: false });
    const suffix = utc() ? " UTC" : "";
    return (day(t) === day(now) ? time : day(t) + " " + time) + suffix;
  }
  function ago(t, now) {
    const s = Math.round((now - t) / 1000), n = Math.abs(s);
    const text = n < 1 ? "now" : n < 60 ? n + " s" : n < 3600 ? Math.floor(n / 60) + " min" : n < 86400 ? Math.floor(n / 3600) + " h" : Math.floor(n / 86400) + " d";
    return n < 1 ? text : s < 0 ? "in " + text : text + " ago";
  }
  function times(within) {
    const now = new Date();
    for (const e of within.querySelectorAll("time[datetime]")) {
      const t = new Date(e.dateTime);
      if (isNaN(t)) continue;
      const text = "ago" in e.dataset ? ago(t, now) : shown(t, now);
      if (e.textContent !== text) e.textContent = text;
    }
    for (const e of within.querySelectorAll("text[data-time]")) {
      const t = new Date(e.dataset.time), svg = e.closest("svg[data-from]");
      const long = svg && svg.dataset.to - svg.dataset.from > 36e5 * 36;
      const zone = utc() ? { timeZone: "UTC" } : {};
      const text = long ? t.toLocaleDateString("en-GB", { ...zone, day: "numeric", month: "short" }) : t.toLocaleTimeString("en-GB", { ...zone, hour: "2-digit", minute: "2-digit" }) + (utc() ? " UTC" : "");
      if (e.textContent !== text) e.textContent = text;
    }
  }

  // On phones a cell shows its column's name.
  function labels(within) {
    for (const table of within.querySelectorAll("table.rows")) {
      const names = [...table.querySelectorAll("thead th")].map((th) => th.textContent.trim());
      for (const row of table.querySelectorAll("tbody tr")) [...row.cells].forEach((cell, i) => { if (names[i] && cell.dataset.label !== names[i]) cell.dataset.label = names[i]; });
    }
  }
  function dress(within) { times(within); labels(within); }

  // morph changes an element into another one, keeping nodes: focus, selection, scroll and open
  // <details> stay. Rows are matched by id.
  function morph(from, to) {
    const byID = new Map();
    for (const c of from.children) if (c.id) byID.set(c.id, c);
    let at = from.firstChild;
    for (const want of [...to.childNodes]) {
      let have = want.id && byID.get(want.id);
      if (have && have !== at) from.insertBefore(have, at);
      if (!have && at && !at.id && !want.id && at.nodeName === want.nodeName) have = at;
      if (!have) {
        const added = document.importNode(want, true);
        if (added.nodeName === "TR" && byID.size) added.classList.add("new");
        from.insertBefore(added, at);
        continue;
      }
      at = have.nextSibling;
      if (have.nodeType === Node.ELEMENT_NODE) same(have, want);
      else if (have.nodeValue !== want.nodeValue) have.nodeValue = want.nodeValue;
    }
    while (at) { const next = at.nextSibling; at.remove(); at = next; }
  }
  const ours = new Set(["data-label", "open", "hidden", "class"]);
  function same(have, want) {
    if (have.nodeName === "TIME" && have.dateTime === want.dateTime) return;
    if ("keep" in have.dataset || have.contains(document.activeElement) && have.matches("input, select, textarea, form")) return;
    for (const { name, value } of want.attributes) if (have.getAttribute(name) !== value && name !== "open") have.setAttribute(name, value);
    for (const { name } of [...have.attributes]) if (!want.hasAttribute(name) && !ours.has(name)) have.removeAttribute(name);
    if (have.isEqualNode(want)) return;
    const end = "follow" in have.dataset && have.scrollTop + have.clientHeight >= have.scrollHeight - 4;
    morph(have, want);
    if (end) have.scrollTop = have.scrollHeight;
  }

  // A block with new rows above what the reader looks at keeps them back behind a button.
  const waiting = new Map();
  function apply(block, html) {
    const next = document.createElement("template");
    next.innerHTML = html;
    const name = block.dataset.live, list = block.querySelector("[data-grows]");
    if (list && list.getBoundingClientRect().top < 40) {
      const known = new Set([...list.querySelectorAll("[id]")].map((e) => e.id));
      const rows = [...next.content.querySelectorAll("[data-grows] > [id]")];
      const last = rows.findLastIndex((r) => known.has(r.id));
      const fresh = rows.filter((r, i) => !known.has(r.id) && i < last);
      if (fresh.length) {
        waiting.set(name, html);
        fresh.forEach((r) => r.remove());
        more(block, fresh.length);
      }
    } else {
      waiting.delete(name);
      more(block, 0);
    }
    dress(next.content);
    morph(block, next.content);
  }
  function more(block, n) {
    let bar = block.previousElementSibling;
    if (!bar || !bar.matches(".more")) {
      if (!n) return;
      bar = document.createElement("div");
      bar.className = "more";
      const button = document.createElement("button");
      button.type = "button";
      button.className = "primary";
      button.addEventListener("click", () => {
        block.scrollIntoView({ block: "start" });
        scrollBy(0, -120);
        const html = waiting.get(block.dataset.live);
        bar.remove();
        if (html) { const t = document.createElement("template"); t.innerHTML = html; dress(t.content); morph(block, t.content); }
      });
      bar.append(button);
      block.before(bar);
    }
    if (!n) return bar.remove();
    bar.firstChild.textContent = n + " new";
  }

  // Live updates, while the page is visible: a browser has few connections for all its tabs.
  let stream, retry, wait = 1000;
  function state(name, text) {
    const e = document.querySelector("[data-live-state]");
    if (!e || e.dataset.state === name && e.textContent === text) return;
    e.dataset.state = name;
    e.textContent = text;
  }
  function close() { clearTimeout(retry); if (stream) stream.close(); stream = null; }
  function open() {
    close();
    if (document.hidden || !("stream" in document.body.dataset)) return;
    stream = new EventSource("/live?path=" + encodeURIComponent(location.pathname + location.search));
    const on = (name, f) => stream.addEventListener(name, (e) => { wait = 1000; f(JSON.parse(e.data)); });
    on("block", ({ name, html }) => {
      const block = document.querySelector(`[data-live="${CSS.escape(name)}"]`);
      if (block) apply(block, html);
      state("live", "live");
    });
    on("same", () => state("live", "live"));
    on("problem", ({ text }) => { state("lost", "not up to date"); const e = document.querySelector("[data-live-state]"); if (e) e.title = text; });
    stream.onerror = async () => {
      close();
      state("lost", "reconnecting");
      retry = setTimeout(open, wait);
      wait = Math.min(wait * 2, 15000);
      const answer = await fetch("/live", { method: "HEAD" }).catch(() => null);
      if (answer && answer.status === 401) { close(); ended(); }
    };
  }

  // The process that printed this page's link has ended, and another one answers.
  function ended() {
    state("lost", "ended");
    const note = document.createElement("div");
    note.className = "notice bad";
    note.setAttribute("role", "alert");
    note.textContent = "This console was started again, so this page is no longer up to date. Open its new link: tollgate console prints it.";
    document.getElementById("content").prepend(note);
  }

  function ready() {
    if ("locked" in document.body.dataset) { unlock(); addEventListener("hashchange", unlock); return; }
    if (/^#[A-Z2-7]{20,}$/.test(location.hash)) unlock();
    dress(document);
    setInterval(() => { if (!document.hidden) times(document); }, 5000);
    const zone = document.querySelector("[data-zone]"), look = document.querySelector("[data-theme-switch]");
    const tell = () => { zone.textContent = utc() ? "UTC" : "Local time"; zone.ariaLabel = zone.textContent + ": switch zone"; look.textContent = themes[root.dataset.theme || ""]; look.ariaLabel = look.textContent + ": switch colors"; };
    tell();
    zone.addEventListener("click", () => { kept("zone", utc() ? "local" : "utc"); tell(); times(document); });
    look.addEventListener("click", () => {
      const names = Object.keys(themes), next = names[(names.indexOf(root.dataset.theme || "") + 1) % names.length];
      kept("theme", next); theme(next); tell();
    });
    const menu = document.querySelector(".menu"), nav = document.getElementById("nav");
    menu.addEventListener("click", () => menu.setAttribute("aria-expanded", String(nav.toggleAttribute("data-open"))));
    document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
    addEventListener("pagehide", close);
    addEventListener("pageshow", (e) => { if (e.persisted) open(); });
    open();
  }
  document.addEventListener("DOMContentLoaded", ready);

  document.addEventListener("click", (e) => {
    const b = e.target.closest("button");
    if (!b) return;
    if ("back" in b.dataset) history.back();
    if ("copy" in b.dataset) {
      navigator.clipboard.writeText(b.parentElement.querySelector("code").textContent).then(() => {
        b.textContent = "Copied";
        setTimeout(() => { b.textContent = "Copy"; }, 1500);
      });
    }
    if ("print" in b.dataset) print();
  });
  document.addEventListener("submit", (e) => {
    const text = e.target.dataset.confirm;
    if (text && !confirm(text)) return e.preventDefault();
    if (e.target.method === "post") setTimeout(() => { for (const b of e.target.querySelectorAll("button")) b.disabled = true; });
  });
})();
