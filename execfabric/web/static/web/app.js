// Behaviour of the console shell. One delegated listener per kind of event, so that parts
// swapped in by HTMX need no setup.
(() => {
  "use strict";

  const root = document.documentElement;
  const NEAR_END_PX = 40;
  const TOAST_MS = 8000;
  const SUBMIT_PAUSE_MS = 6000;
  const DOWNLOAD_PAUSE_MS = 1000;

  function toggleTheme() {
    const next = root.getAttribute("data-bs-theme") === "dark" ? "light" : "dark";
    root.setAttribute("data-bs-theme", next);
    try {
      localStorage.setItem("theme", next);
    } catch {
      // Storage is blocked: the choice lasts for this page only.
    }
  }

  function setSidebar(open) {
    document.body.classList.toggle("sidebar-open", open);
    const opener = document.querySelector("[data-toggle-sidebar]");
    opener?.setAttribute("aria-expanded", String(open));
    if (open) document.querySelector(".sidebar a")?.focus();
    else if (document.activeElement?.closest(".sidebar")) opener?.focus();
  }

  async function copyFrom(button) {
    const source = button.closest("[data-copy-scope]")?.querySelector("[data-copy-source]");
    const text = button.dataset.copy || source?.textContent || "";
    const label = button.querySelector("[data-copy-label]");
    try {
      await navigator.clipboard.writeText(text);
      if (label) label.textContent = "Copied";
    } catch {
      if (source) getSelection().selectAllChildren(source);
      if (label) label.textContent = "Press Ctrl+C";
    }
    if (label) setTimeout(() => (label.textContent = "Copy"), 2000);
  }

  function showToast({ level = "info", text = "" }) {
    const toast = document.createElement("div");
    toast.className = `console-toast is-${level}`;
    const words = document.createElement("span");
    words.textContent = text;
    const close = document.createElement("button");
    close.type = "button";
    close.className = "btn-close";
    close.setAttribute("aria-label", "Close this message");
    close.addEventListener("click", () => toast.remove());
    toast.append(words, close);
    document.getElementById("toasts")?.append(toast);
    setTimeout(() => toast.remove(), TOAST_MS);
  }

  function showFileNames(input) {
    const drop = input.closest("[data-file-drop]");
    const shown = drop?.querySelector("[data-file-names]");
    if (!shown) return;
    const names = Array.from(input.files, (file) => file.name);
    shown.textContent = names.join(", ") || shown.dataset.empty;
    drop.classList.toggle("has-files", names.length > 0);
  }

  // A file beyond the limit is said at once; sending it would take long and be refused.
  function checkFileSizes(input) {
    const { mostBytes, mostBytesShown, togetherBytes, togetherBytesShown } = input.dataset;
    if (!mostBytes) return true;
    const files = Array.from(input.files);
    const large = files.find((file) => file.size > Number(mostBytes));
    const sum = files.reduce((total, file) => total + file.size, 0);
    let wrong = "";
    if (large) wrong = `${large.name} is too large. A file may have ${mostBytesShown} at most.`;
    else if (sum > Number(togetherBytes)) {
      wrong = `These files are too large together. They may have ${togetherBytesShown} at most.`;
    }
    sayFileError(input, wrong);
    return !wrong;
  }

  function sayFileError(input, text) {
    const id = `${input.id}_size`;
    const described = (input.getAttribute("aria-describedby") || "").split(" ");
    const others = described.filter((each) => each && each !== id);
    document.getElementById(id)?.remove();
    input.closest("[data-file-drop]")?.classList.toggle("is-invalid", Boolean(text));
    if (text) {
      const shown = document.createElement("div");
      shown.id = id;
      shown.className = "field-error";
      shown.setAttribute("role", "alert");
      shown.textContent = text;
      (input.closest("[data-file-drop]") || input).after(shown);
      others.unshift(id);
      input.setAttribute("aria-invalid", "true");
    } else input.removeAttribute("aria-invalid");
    input.setAttribute("aria-describedby", others.join(" "));
  }

  // One file takes the place of the earlier one; several are added to it.
  function dropKeptFile(input) {
    if (input.multiple || !input.files.length) return;
    for (const box of input.closest(".field")?.querySelectorAll("[data-kept]") || []) {
      box.checked = false;
    }
  }

  // Where one file is accepted, a box takes the place of another one and of a chosen file.
  function keepOneFile(box) {
    if (!box.checked) return;
    const field = box.closest(".field");
    for (const other of field.querySelectorAll("[data-kept]")) other.checked = other === box;
    const input = field.querySelector("input[type=file]");
    if (input?.files.length) {
      input.value = "";
      showFileNames(input);
    }
  }

  document.addEventListener("click", (event) => {
    const hit = (selector) => event.target.closest?.(selector);
    let found;
    if (hit("[data-theme-toggle]")) toggleTheme();
    else if (hit("[data-toggle-sidebar]")) {
      setSidebar(!document.body.classList.contains("sidebar-open"));
    } else if (hit("[data-close-sidebar]")) setSidebar(false);
    else if ((found = hit("[data-dialog]"))) {
      document.getElementById(found.dataset.dialog)?.showModal();
    } else if ((found = hit("[data-close-dialog]"))) found.closest("dialog")?.close();
    else if ((found = hit("[data-dismiss]"))) found.closest("[role]")?.remove();
    else if ((found = hit("[data-copy]"))) copyFrom(found);
    else if ((found = hit("[data-row-link]")) && !hit("a, button, input, label, summary")) {
      location.assign(found.dataset.rowLink);
    } else if (event.target.matches?.("dialog.dialog")) event.target.close();
  });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("sidebar-open")) {
      setSidebar(false);
    }
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      const search = document.querySelector("input[type=search]");
      if (search) {
        event.preventDefault();
        search.focus();
      }
    }
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("input[type=file]")) {
      showFileNames(event.target);
      checkFileSizes(event.target);
      dropKeptFile(event.target);
    }
    if (event.target.matches("[data-kept=one]")) keepOneFile(event.target);
    if (event.target.matches("[data-autosubmit] select, [data-autosubmit] [type=checkbox]")) {
      event.target.form.requestSubmit();
    }
  });

  for (const kind of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(kind, (event) => {
      const drop = event.target.closest?.("[data-file-drop]");
      drop?.classList.toggle("is-over", kind === "dragover");
    });
  }

  // A second click on a submit button must not send the form twice.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post" || form.hasAttribute("hx-post")) return;
    const chosen = Array.from(form.querySelectorAll("input[type=file]"));
    const wrong = chosen.filter((input) => !checkFileSizes(input));
    if (wrong.length) {
      event.preventDefault();
      wrong[0].focus();
      return;
    }
    if (form.dataset.sent) {
      event.preventDefault();
      return;
    }
    form.dataset.sent = "1";
    event.submitter?.classList.add("btn-loading");
    // A download leaves this page in place: let the form be sent again after a while.
    setTimeout(allowAgain, "download" in form.dataset ? DOWNLOAD_PAUSE_MS : SUBMIT_PAUSE_MS);
  });

  function allowAgain() {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
    for (const button of document.querySelectorAll(".btn-loading")) {
      button.classList.remove("btn-loading");
    }
  }
  addEventListener("pageshow", (event) => event.persisted && allowAgain());

  // HTMX: the CSRF token, toasts, and what to say when the server is not there.
  document.addEventListener("htmx:configRequest", (event) => {
    const token = document.body.dataset.csrfToken;
    if (token && event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
  });
  document.addEventListener("toast", (event) => showToast(event.detail));
  document.addEventListener("htmx:responseError", (event) => {
    const xhr = event.detail.xhr;
    if (xhr.getResponseHeader("HX-Trigger")) return;
    const id = xhr.getResponseHeader("X-Request-ID");
    showToast({ level: "error", text: `That did not work (${xhr.status})${id ? `, request ${id}` : ""}.` });
  });
  let offline = false;
  document.addEventListener("htmx:sendError", () => {
    if (!offline) showToast({ level: "error", text: "The server cannot be reached. Trying again." });
    offline = true;
  });
  document.addEventListener("htmx:afterOnLoad", () => (offline = false));

  // A live log follows its end until the reader scrolls up.
  const atEnd = (log) => log.scrollHeight - log.scrollTop - log.clientHeight < NEAR_END_PX;
  const follow = (log) => {
    if (log.dataset.following !== "no") log.scrollTop = log.scrollHeight;
  };
  document.addEventListener(
    "scroll",
    (event) => {
      const log = event.target;
      if (log instanceof Element && log.matches("[data-log]")) {
        log.dataset.following = atEnd(log) ? "yes" : "no";
      }
    },
    true,
  );
  // A log without end must not fill the page: of its text and lines the last stay.
  const MOST_LOG_CHARS = 256 * 1024;
  const MOST_LOG_LINES = 5000;
  const lastPart = (text, chars, lines) => {
    let from = Math.max(0, text.length - chars);
    for (let at = text.length - 1, seen = 0; at >= from; at -= 1) {
      if (text[at] === "\n" && (seen += 1) > lines) from = at + 1;
    }
    return text.slice(from);
  };
  const trim = (log) => {
    let chars = MOST_LOG_CHARS;
    let lines = MOST_LOG_LINES;
    let piece = log.lastElementChild;
    for (; piece; piece = piece.previousElementSibling) {
      const text = piece.textContent;
      const kept = lastPart(text, chars, lines);
      if (kept.length < text.length) {
        piece.textContent = kept;
        break;
      }
      chars -= text.length;
      lines -= text.split("\n").length - 1;
    }
    if (!piece) return;
    while (piece.previousElementSibling) piece.previousElementSibling.remove();
    const note = document.createElement("span");
    note.className = "log-notice";
    note.textContent = `${log.dataset.leftOut}\n`;
    log.prepend(note);
  };
  const tail = (log) => {
    trim(log);
    follow(log);
  };
  const followAll = () => document.querySelectorAll("[data-log]").forEach(tail);
  document.addEventListener("htmx:afterSettle", followAll);
  followAll();

  // The first wrong field gets the focus, so that keyboard and screen reader users land there.
  document.querySelector("main [aria-invalid=true]")?.focus();
})();
