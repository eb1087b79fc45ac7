// The page of a run that is training: fetches the newest numbers, and shows them in place.

const ASK_EVERY = 2000;

// `holder.page` is the shared state; it is replaced when there are more plots than before.
function startLive(holder) {
  let known = "";
  let shape = "";
  const tell = (text) => (byId("live").textContent = text);
  const show = (data) => {
    const share = data.steps ? Math.floor((100 * data.done) / data.steps) : 0;
    const members = data.members === 1 ? "1 member" : `${data.members} members`;
    tell(data.complete ? `${data.name}: complete, ${data.steps} steps, ${members}. This page is not updated any more.`
      : `${data.name}: step ${data.done} of ${data.steps} (${share} %), ${members}; updated ${new Date().toLocaleTimeString()}`);
    byId("glance").replaceChildren(el("ul.tiles", {}, ...(data.glance ?? []).map(([what, value, more]) =>
      el("li", {}, el("span.what", {}, what), el("b", {}, value), el("span.soft", {}, more)))));
    if (!data.curves) return;
    const now = JSON.stringify([data.curves.runs.map((run) => [run.members, run.panels.map((panel) => [panel.id, panel.lines.length])]), !!data.competition]);
    if (now === shape) refresh(holder.page, data);
    else holder.page = rebuilt(holder.page, data);
    shape = now;
  };
  const ask = async () => {
    try {
      const answer = await fetch("data", { cache: "no-store", headers: known ? { "If-None-Match": `"${known}"` } : {} });
      if (answer.ok) {
        known = (answer.headers.get("ETag") ?? "").replaceAll('"', "");
        const data = await answer.json();
        if (data.name) show(data);
        document.documentElement.dataset.updates = String(Number(document.documentElement.dataset.updates ?? 0) + 1);
        if (data.complete) return;
      } else if (answer.status !== 304) throw new Error(answer.statusText);
    } catch {
      return tell("The training has ended or was stopped; this page is not updated any more.");
    }
    setTimeout(ask, ASK_EVERY);
  };
  ask();
}

// New numbers for the same plots.
function refresh(page, data) {
  const whole = page.state.domain;
  const all = page.whole().domain;
  data.curves.runs.forEach((run, i) => Object.assign(page.curves[i], run));
  if (page.competition && data.competition) page.competition.renew(data.competition.runs);
  if (whole[0] <= all[0] && whole[1] >= all[1]) page.zoom(null);
  page.set({ fresh: (page.state.fresh ?? 0) + 1 });
}

// All sections anew, with what was chosen before.
function rebuilt(old, data) {
  const page = observable({ ...old.state });
  for (const app of document.querySelectorAll("[data-component] .app")) app.replaceChildren();
  startSections(page, data);
  return page;
}
