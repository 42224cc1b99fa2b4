// A site's few moving parts: theme, search, contents on phones, the table of contents, copying. Everything is readable without.
(() => {
  const root = document.documentElement;
  const kept = {
    get: (key) => { try { return localStorage.getItem(key); } catch { return null; } },
    set: (key, value) => { try { localStorage.setItem(key, value); } catch { /* a browser that keeps nothing */ } },
  };
  // before anything is drawn
  if (kept.get("theme")) root.dataset.theme = kept.get("theme");

  const ready = () => {
    theme();
    menu();
    search();
    here();
    code();
  };

  const theme = () => {
    document.querySelector(".theme").addEventListener("click", () => {
      const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
      root.dataset.theme = dark ? "light" : "dark";
      kept.set("theme", root.dataset.theme);
    });
  };

  const menu = () => {
    const button = document.querySelector(".menu");
    const set = (open) => {
      root.classList.toggle("menu-open", open);
      button.setAttribute("aria-expanded", open);
    };
    button.addEventListener("click", () => set(!root.classList.contains("menu-open")));
    document.addEventListener("keydown", (event) => { if (event.key === "Escape") set(false); });
    const current = document.querySelector(".contents [aria-current]");
    const side = document.querySelector(".contents");
    if (current && current.offsetTop > side.clientHeight - 80) side.scrollTop = current.offsetTop - side.clientHeight / 2;
  };

  // Which heading is being read.
  const here = () => {
    const links = new Map([...document.querySelectorAll(".here a")].map((a) => [decodeURIComponent(a.hash.slice(1)), a]));
    const headings = [...links.keys()].map((id) => document.getElementById(id)).filter(Boolean);
    if (!headings.length) return;
    let waiting = false;
    const mark = () => {
      waiting = false;
      const passed = headings.filter((h) => h.getBoundingClientRect().top < innerHeight / 4);
      const now = (passed.at(-1) || headings[0]).id;
      links.forEach((a, id) => a.classList.toggle("now", id === now));
    };
    addEventListener("scroll", () => { if (!waiting) { waiting = true; requestAnimationFrame(mark); } }, { passive: true });
    mark();
  };

  const code = () => {
    if (!navigator.clipboard) return;
    const words = document.body.dataset;
    for (const pre of document.querySelectorAll("pre.code")) {
      const box = document.createElement("div");
      const button = document.createElement("button");
      box.className = "coded";
      button.type = "button";
      button.textContent = words.copy;
      pre.replaceWith(box);
      box.append(pre, button);
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(pre.textContent);
        button.textContent = words.copied;
        setTimeout(() => { button.textContent = words.copy; }, 1500);
      });
    }
  };

  // Search looks through the text of all pages, which a script brings when it is first needed: that works from a disk too.
  const search = () => {
    const input = document.querySelector(".find input");
    const list = document.getElementById("found");
    const base = document.body.dataset.root;
    let places = null;
    let chosen = -1;
    const load = () => {
      if (places || document.getElementById("places")) return;
      const script = document.createElement("script");
      script.id = "places";
      script.src = document.body.dataset.search;
      script.onload = () => { places = prepared(window.explainSearch); show(); };
      document.head.append(script);
    };
    const prepared = (index) =>
      index.sections.map(([page, anchor, heading, text]) => {
        const [url, title] = index.pages[page];
        return {
          url: base + url + (anchor ? `#${encodeURIComponent(anchor)}` : ""), title, heading, text, front: !anchor,
          name: title.toLowerCase(), head: heading.toLowerCase(), low: text.toLowerCase(),
        };
      });
    const show = () => {
      const query = input.value.trim().toLowerCase();
      list.replaceChildren();
      chosen = -1;
      input.removeAttribute("aria-activedescendant");
      list.hidden = !query || !places;
      input.setAttribute("aria-expanded", !list.hidden);
      if (list.hidden) return;
      const found = find(places, query);
      found.places.forEach((place, k) => list.append(item(place, found.terms, k)));
      if (!found.places.length) {
        const none = document.createElement("li");
        none.className = "none";
        none.textContent = list.dataset.nothing;
        list.append(none);
      } else choose(0);
    };
    const item = (place, terms, k) => {
      const li = document.createElement("li");
      li.id = `found-${k}`;
      li.setAttribute("role", "option");
      const a = document.createElement("a");
      a.href = place.url;
      a.tabIndex = -1;
      a.append(...marked(place.front || !place.heading ? place.title : `${place.title} › ${place.heading}`, terms));
      const part = excerpt(place, terms);
      if (part) {
        const small = document.createElement("small");
        small.append(...marked(part, terms));
        a.append(small);
      }
      li.append(a);
      return li;
    };
    const choose = (k) => {
      const items = list.querySelectorAll("[role=option]");
      if (!items.length) return;
      items[chosen]?.setAttribute("aria-selected", "false");
      chosen = (k + items.length) % items.length;
      items[chosen].setAttribute("aria-selected", "true");
      items[chosen].scrollIntoView({ block: "nearest" });
      input.setAttribute("aria-activedescendant", items[chosen].id);
    };
    const close = () => {
      list.hidden = true;
      input.setAttribute("aria-expanded", "false");
    };
    input.addEventListener("focus", () => { load(); show(); });
    input.addEventListener("input", () => { load(); show(); });
    input.addEventListener("keydown", (event) => {
      if (event.isComposing) return;
      if (event.key === "ArrowDown") choose(chosen + 1);
      else if (event.key === "ArrowUp") choose(chosen - 1);
      else if (event.key === "Enter") list.querySelector("[aria-selected=true] a")?.click();
      else if (event.key === "Escape") { close(); input.blur(); }
      else return;
      event.preventDefault();
    });
    list.addEventListener("click", close);
    document.addEventListener("click", (event) => { if (!event.target.closest(".find")) close(); });
    document.addEventListener("keydown", (event) => {
      const typing = /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName);
      const asked = event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey;
      if (asked || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
        event.preventDefault();
        input.focus();
        input.select();
      }
    });
  };

  const MOST = 12;
  const CHINESE = /[\u3400-\u9fff]/;

  // Places that hold every word; for Chinese, where nothing holds the whole phrase, those that hold most of its pairs of signs.
  const find = (places, query) => {
    const terms = query.split(/\s+/);
    let found = ranked(places, terms, terms.length);
    if (!found.length && CHINESE.test(query)) {
      const pairs = terms.flatMap((term) => [...term].slice(0, -1).map((sign, k) => sign + [...term][k + 1]));
      if (pairs.length) return { places: ranked(places, pairs, Math.ceil(pairs.length / 2)), terms: pairs };
    }
    return { places: found, terms };
  };
  const ranked = (places, terms, least) => {
    const scored = [];
    for (const place of places) {
      let score = 0;
      let held = 0;
      for (const term of terms) {
        const one = worth(place, term);
        held += one > 0;
        score += one;
      }
      if (held >= least) scored.push([score + (place.front ? 1 : 0), place]);
    }
    return scored.sort((a, b) => b[0] - a[0]).slice(0, MOST).map(([, place]) => place);
  };
  const worth = (place, term) =>
    (place.front ? 24 * fit(place.name, term) : 2 * fit(place.name, term)) + 12 * fit(place.head, term) + 3 * fit(place.low, term);
  const fit = (text, term) => {
    const at = text.indexOf(term);
    if (at < 0) return 0;
    if (text === term) return 2;
    const start = at === 0 || !/[\p{L}\p{N}]/u.test(text[at - 1]);
    const end = at + term.length === text.length || !/[\p{L}\p{N}]/u.test(text[at + term.length]);
    return start && end ? 1.3 : start ? 1 : 0.6;
  };
  const excerpt = (place, terms) => {
    const at = Math.min(...terms.map((term) => place.low.indexOf(term)).filter((k) => k >= 0));
    const start = Number.isFinite(at) ? Math.max(0, place.text.lastIndexOf(" ", Math.max(0, at - 40)), at - 60) : 0;
    return (start ? "… " : "") + place.text.slice(start, start + 160).trim();
  };
  const marked = (text, terms) => {
    const parts = [];
    const low = text.toLowerCase();
    let at = 0;
    while (at < text.length) {
      let next = -1;
      let length = 0;
      for (const term of terms) {
        const k = low.indexOf(term, at);
        if (k >= 0 && (next < 0 || k < next)) { next = k; length = term.length; }
      }
      if (next < 0 || low.length !== text.length) break;
      const mark = document.createElement("mark");
      mark.textContent = text.slice(next, next + length);
      parts.push(text.slice(at, next), mark);
      at = next + length;
    }
    return [...parts, text.slice(at)];
  };

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", ready);
  else ready();
})();
