// The page as a whole: theme, copy buttons, links of the claims, and the start of every section.

const COMPONENTS = { curves: curvesSection, sweep: sweepSection, competition: competitionSection };

function startPage() {
  const data = JSON.parse(byId("page-data").textContent);
  const holder = {
    page: observable({
      title: document.title, theme: "", run: 0, runs: [], member: null, overlay: false, display: "bands", log: true,
      unit: "epoch", split: "test", domain: [0, 1], first: 1, cursor: null, pinned: null, snapshot: 0,
    }),
  };
  document.documentElement.classList.add("scripted");
  themeButton(holder);
  copyButtons();
  if (data.live) startLive(holder);
  else startSections(holder.page, data);
  claimLinks(holder);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}

// Every section of the page for which there are numbers.
function startSections(page, data) {
  page.curves = data.curves?.runs ?? null;
  for (const [kind, start] of Object.entries(COMPONENTS)) {
    const root = document.querySelector(`[data-component="${kind}"]`);
    if (!root || !data[kind]) continue;
    root.querySelector(".app").hidden = false;
    start(root, data[kind], page);
  }
}

// Light, dark, or as the system is set; remembered where the browser allows it.
function themeButton(holder) {
  const root = document.documentElement;
  const button = byId("theme");
  const system = window.matchMedia("(prefers-color-scheme: dark)");
  const remembered = (value) => {
    try {
      if (value === undefined) return localStorage.getItem("grokscope-theme");
      localStorage.setItem("grokscope-theme", value);
    } catch {
      // a page from disk may have no storage
    }
    return null;
  };
  const apply = (theme) => {
    if (theme) root.dataset.theme = theme;
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    button.textContent = dark ? "Light" : "Dark";
    button.setAttribute("aria-label", dark ? "light colors" : "dark colors");
    colorCache = new Map();
    holder.page.set({ theme: `${dark}` });
  };
  const first = remembered();
  apply(first === "light" || first === "dark" ? first : "");
  button.hidden = false;
  button.addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : system.matches;
    remembered(dark ? "light" : "dark");
    apply(dark ? "light" : "dark");
  });
  system.addEventListener("change", () => apply(""));
}

function copyButtons() {
  for (const block of document.querySelectorAll("pre[data-copy]")) {
    const button = el("button.tool.copy", { type: "button", "aria-label": `copy ${block.dataset.copy}` }, "Copy");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(block);
        button.textContent = "Selected";
      }
      setTimeout(() => (button.textContent = "Copy"), 1500);
    });
    block.parentElement.append(button);
  }
}

// A claim links to the plots of the measures it is judged by.
function claimLinks(holder) {
  for (const link of document.querySelectorAll("a[data-panels]")) {
    link.addEventListener("click", (event) => {
      const { page } = holder;
      if (!page.showPanels) return;
      event.preventDefault();
      const run = page.curves.findIndex((one) => one.name === link.dataset.run);
      page.showPanels(link.dataset.panels.split(" "), run < 0 ? null : run);
    });
  }
}

startPage();
