// While `explain serve` runs: reload when the site was built anew, show what is wrong with it.
(() => {
  const box = document.createElement("pre");
  box.className = "problems";
  box.setAttribute("role", "status");
  let seen = null;
  const events = new EventSource("/-/events");
  events.onmessage = (event) => {
    const { version, problems } = JSON.parse(event.data);
    if (seen !== null && version !== seen) {
      location.reload();
      return;
    }
    seen = version;
    box.textContent = problems.join("\n");
    if (problems.length) document.body.append(box);
    else box.remove();
  };
})();
