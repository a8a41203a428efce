// Shows the HTML in the trait `content` and reports what the user does. Python draws; this module only patches.
//
// Elements report by attribute: data-click="NAME" (value: data-value), data-input="NAME" (each step of a range),
// data-change="NAME" (a select, a checkbox, a text box), data-copy="TEXT" (copied here, not reported).

const NO_ANSWER_MS = 4000;
const TOAST_MS = 2500;
const WIDTH_STEP = 20; // px; a smaller change of the width is not reported
const GONE = new Set(["disconnected", "dead", "terminating", "restarting", "autorestarting"]); // states of a kernel
const LOST = new Set(["connecting", "unknown"]); // its states after a lost connection, or after it was killed

/** What identifies an element among its siblings, so that it keeps its focus and its place when others come and go. */
function keyOf(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return "";
  const { key, click, value, input, change } = node.dataset;
  return key || (click && `${click} ${value ?? ""}`) || input || change || "";
}

/** Make the children of `now` equal to those of `next`, changing as few nodes as possible. */
function patchChildren(now, next, keepValues) {
  const wanted = [...next.childNodes];
  const wantedKeys = new Set(wanted.map(keyOf));
  const keyed = new Map();
  for (const child of [...now.childNodes]) {
    const key = keyOf(child);
    if (key && !wantedKeys.has(key)) child.remove();
    else if (key) keyed.set(key, child);
  }
  let at = now.firstChild;
  for (const node of wanted) {
    const key = keyOf(node);
    let match = key ? keyed.get(key) : at && !keyOf(at) ? at : null;
    if (match && match.nodeName !== node.nodeName) match = null;
    if (!match) {
      now.insertBefore(document.importNode(node, true), at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else now.insertBefore(match, at);
    patchNode(match, node, keepValues);
  }
  while (at) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

function patchNode(now, next, keepValues) {
  if (now.nodeType !== Node.ELEMENT_NODE) {
    if (now.data !== next.data) now.data = next.data;
    return;
  }
  patchAttributes(now, next);
  if (now.nodeName !== "TEXTAREA") patchChildren(now, next, keepValues);
  if (!keepValues) patchValue(now, next);
}

function patchAttributes(now, next) {
  const isDetails = now.nodeName === "DETAILS"; // whether it is open is the user's choice
  for (const { name } of [...now.attributes]) {
    if (!next.hasAttribute(name) && !(isDetails && name === "open")) now.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (now.getAttribute(name) !== value && !(isDetails && name === "open")) now.setAttribute(name, value);
  }
}

/** Controls have a value of their own beside the attribute: the user's, until Python has handled the last event. */
function patchValue(now, next) {
  const isTyping = now === now.ownerDocument.activeElement && (now.type === "text" || now.nodeName === "TEXTAREA");
  if (isTyping) return; // what is typed is reported when the user leaves the box; until then no update replaces it
  if (now.nodeName === "INPUT" && now.type === "checkbox") now.checked = next.hasAttribute("checked");
  else if (now.nodeName === "INPUT") setValue(now, next.getAttribute("value") ?? "");
  else if (now.nodeName === "SELECT" || now.nodeName === "TEXTAREA") setValue(now, next.dataset.selected ?? "");
}

function setValue(control, value) {
  if (control.value !== value) control.value = value;
}

function render({ model, el }) {
  const wrapper = document.createElement("div");
  wrapper.className = "knb-view";
  const root = document.createElement("div");
  root.className = "knb";
  const toast = document.createElement("div");
  toast.className = "knb-toast";
  toast.setAttribute("role", "status");
  const dead = document.createElement("div"); // says that the kernel has stopped
  dead.className = "knb-dead";
  dead.setAttribute("role", "status");
  wrapper.append(root, toast, dead);
  el.append(wrapper);
  const template = document.createElement("template");
  const view = Math.random().toString(36).slice(2);
  let count = 0;
  let pending = ""; // the last event, until Python has handled it
  let late = 0; // the timer that runs meanwhile
  let waiting = null; // the newest step of a range that has not been sent: one at a time is under way
  let kernel = null; // observes the mark of the kernel's state
  let isLost = false; // whether the connection to the kernel was lost
  let probe = ""; // the question whether this widget exists in the kernel, until it is answered
  let unanswered = 0; // the timer that runs meanwhile
  let isActive = false; // whether the user's last action was in this view

  function show(text, forMs) {
    toast.textContent = text;
    if (forMs) setTimeout(() => toast.textContent === text && show(""), forMs);
  }

  function send(type, name, value) {
    pending = `${view} ${++count}`;
    clearTimeout(late);
    late = setTimeout(() => {
      show("No answer from the kernel: it is busy, or it has stopped. If it has stopped, restart it in the menu Kernel.");
    }, NO_ANSWER_MS);
    model.send({ type, name, value, id: pending });
  }

  function flush() {
    const step = waiting;
    waiting = null;
    if (step) send("input", ...step);
  }

  function act(type, name, value) {
    isActive = true;
    flush();
    send(type, name, value);
  }

  /** JupyterLab marks a kernel that has stopped in the notebook's toolbar; the widget itself gets no event. */
  function watchKernel() {
    const mark = el.closest(".jp-NotebookPanel")?.querySelector(".jp-Notebook-ExecutionIndicator");
    if (!mark || kernel) return;
    kernel = new MutationObserver(() => {
      const { status } = mark.dataset;
      if (GONE.has(status)) showDead();
      else if (LOST.has(status)) isLost = true;
      else if (isLost && status === "idle") sendProbe();
    });
    kernel.observe(mark, { attributes: true, attributeFilter: ["data-status"] });
  }

  /** A kernel that was killed is replaced by one in which this widget does not exist, and which does not answer. */
  function sendProbe() {
    isLost = false;
    probe = `${view} probe ${++count}`;
    clearTimeout(unanswered);
    unanswered = setTimeout(showDead, NO_ANSWER_MS);
    model.send({ type: "probe", name: "", value: "", id: probe });
  }

  function showDead() {
    wrapper.dataset.dead = "";
    dead.textContent = "✖ The kernel has stopped: this is the last state. Restart it in the menu Kernel, and run the "
      + "notebook's first cells and this one again.";
  }

  function draw() {
    delete wrapper.dataset.dead; // there is a kernel: it has sent a picture
    dead.textContent = "";
    const focused = root.ownerDocument.activeElement;
    template.innerHTML = model.get("content");
    patchChildren(root, template.content, pending !== "");
    // A node that was moved has lost its focus.
    if (focused !== root.ownerDocument.activeElement && root.contains(focused)) focused.focus({ preventScroll: true });
  }

  function onHandled() {
    if (probe && model.get("handled") === probe) {
      probe = "";
      clearTimeout(unanswered);
    }
    if (model.get("handled") !== pending) return;
    clearTimeout(late);
    pending = "";
    show("");
    if (waiting) flush();
    else draw();
  }

  function onFocus() {
    const key = model.get("focus").split(" ")[0];
    const target = root.querySelector(`[data-key="${key}"]`);
    if (isActive && target) target.focus({ preventScroll: false });
  }

  function copy(button) {
    const done = () => show("✔ copied", TOAST_MS);
    const failed = () => show("The browser does not allow copying: select the text instead.", TOAST_MS);
    if (navigator.clipboard) navigator.clipboard.writeText(button.dataset.copy).then(done, failed);
    else failed();
  }

  root.addEventListener("click", (event) => {
    const target = event.target.closest("[data-click], [data-copy]");
    if (!target || target.getAttribute("aria-disabled") === "true") return;
    if (target.dataset.copy) copy(target);
    else act("click", target.dataset.click, target.dataset.value ?? "");
  });
  root.addEventListener("input", (event) => {
    const { input } = event.target.dataset;
    if (!input) return;
    isActive = true;
    waiting = [input, event.target.value];
    if (!pending) flush();
  });
  root.addEventListener("change", (event) => {
    const { change } = event.target.dataset;
    const { type, checked, value } = event.target;
    if (change) act("change", change, type === "checkbox" ? String(checked) : value);
  });
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.type === "text" && event.target.dataset.change) event.target.blur();
  });

  // JupyterLab's shortcuts for single keys (arrows, Enter, A, B, …) would take the keys that the controls need. It
  // listens on the document, so the attribute that stops it is set before that. Shift+Enter and Ctrl+S stay its own.
  function onKey(event) {
    const isShortcut = event.ctrlKey || event.metaKey || (event.shiftKey && event.key === "Enter");
    if (root.contains(event.target)) event.target.toggleAttribute("data-lm-suppress-shortcuts", !isShortcut);
  }
  window.addEventListener("keydown", onKey, true);

  let reported = 0;
  const sizes = new ResizeObserver(() => {
    watchKernel(); // the view is now in the page
    const width = Math.floor(root.clientWidth / WIDTH_STEP) * WIDTH_STEP;
    if (!width || width === reported) return;
    reported = width;
    model.send({ type: "resize", name: "width", value: String(width), id: "" });
  });
  sizes.observe(root);

  model.on("change:content", draw);
  model.on("change:handled", onHandled);
  model.on("change:focus", onFocus);
  draw();
  return () => {
    sizes.disconnect();
    kernel?.disconnect();
    window.removeEventListener("keydown", onKey, true);
    clearTimeout(late);
    clearTimeout(unanswered);
    model.off("change:content", draw);
    model.off("change:handled", onHandled);
    model.off("change:focus", onFocus);
  };
}

export default { render };
