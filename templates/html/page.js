(() => {
  const steps = [...document.querySelectorAll(".explain section.step")];
  if (!steps.length) return;
  const walk = document.querySelector(".explain .walk");
  let now = -1;
  const mark = (id, on) =>
    document.querySelectorAll(`.explain [data-step="${id}"]`).forEach((part) => part.classList.toggle("now", on));
  const go = (k) => {
    if (k < 0 || k >= steps.length) return;
    if (now >= 0) mark(steps[now].dataset.step, false);
    now = k;
    mark(steps[now].dataset.step, true);
    steps[now].scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
    steps[now].focus({ preventScroll: true });
  };
  for (const step of steps) {
    step.addEventListener("mouseenter", () => mark(step.dataset.step, true));
    step.addEventListener("mouseleave", () => mark(step.dataset.step, steps[now] === step));
  }
  for (const wire of document.querySelectorAll(".explain .wire[data-step]")) {
    const index = steps.findIndex((step) => step.dataset.step === wire.dataset.step);
    wire.addEventListener("mouseenter", () => mark(wire.dataset.step, true));
    wire.addEventListener("mouseleave", () => mark(wire.dataset.step, index === now));
    wire.addEventListener("click", () => go(index));
  }
  walk.hidden = false;
  walk.children[0].addEventListener("click", () => go(now - 1));
  walk.children[1].addEventListener("click", () => go(now + 1));
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
    if (event.key === "ArrowRight" || event.key === "n") go(now + 1);
    if (event.key === "ArrowLeft" || event.key === "p") go(now - 1);
  });
})();
