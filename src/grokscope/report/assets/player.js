// The player: the play button, the speed, the slider and the strip over it.

const SLIDER_PAD = 9; // half of the slider's thumb: the strip and the slider have one axis
const STRIP_HEIGHT = 92;

class Player {
  // `at` and `count`: the snapshot and the number of snapshots; `go` moves to one; `root` gets the frame rate.
  constructor({ page, root, count, go }) {
    Object.assign(this, { page, root, count, go });
    this.playing = false;
    this.speed = 1;
    this.strip = el("canvas", { "aria-hidden": "true" });
    this.stripBox = el("div.strip", {}, this.strip);
    this.slider = el("input", { type: "range", min: "0", step: "1", "aria-label": "snapshot" });
    this.button = el("button.play", { type: "button", "aria-label": "play", onclick: () => (this.playing ? this.stop() : this.start()) }, "▶");
    const speeds = choice("speed", [[0.5, "½×"], [1, "1×"], [2, "2×"]], () => this.speed, (value) => {
      this.speed = value;
      speeds.update();
    });
    this.node = el("div.player", {}, this.button, el("div.track", {}, this.stripBox, this.slider), speeds.node);
    this.slider.addEventListener("input", () => {
      this.stop();
      this.go(Number(this.slider.value));
    });
    const scrub = (event) => {
      if (!(event.buttons & 1)) return;
      this.stop();
      const box = this.stripBox.getBoundingClientRect();
      this.go(Math.round(((event.clientX - box.left - SLIDER_PAD) / (box.width - 2 * SLIDER_PAD)) * (this.count() - 1)));
    };
    this.stripBox.addEventListener("pointerdown", scrub);
    this.stripBox.addEventListener("pointermove", scrub);
  }

  start() {
    this.playing = true;
    this.before = 0;
    this.frames = [];
    this.button.textContent = "❚❚";
    this.button.setAttribute("aria-label", "pause");
    if (this.page.state.snapshot >= this.count() - 1) this.page.set({ snapshot: 0 });
    requestAnimationFrame((now) => this.tick(now));
  }

  stop() {
    if (!this.playing) return;
    this.playing = false;
    this.button.textContent = "▶";
    this.button.setAttribute("aria-label", "play");
    this.go(Math.round(this.page.state.snapshot));
    this.page.set({ rested: performance.now() });
  }

  tick(now) {
    if (!this.playing) return;
    const passed = this.before ? Math.min(now - this.before, 100) : 0;
    this.before = now;
    this.frames = [...this.frames.slice(-60), now];
    if (this.frames.length > 10) {
      this.root.dataset.fps = String(Math.round((1000 * (this.frames.length - 1)) / (now - this.frames[0])));
    }
    const to = this.page.state.snapshot + (passed * this.speed) / 170;
    if (to >= this.count() - 1) {
      this.page.set({ snapshot: this.count() - 1 });
      this.page.state.snapshot = this.count() - 1;
      return this.stop();
    }
    this.go(calm() ? Math.floor(to) + (to % 1) * 1e-3 : to);
    requestAnimationFrame((next) => this.tick(next));
  }

  show(snapshot, words) {
    this.slider.max = String(this.count() - 1);
    this.slider.value = String(Math.round(snapshot));
    this.slider.setAttribute("aria-valuetext", words);
  }
}
