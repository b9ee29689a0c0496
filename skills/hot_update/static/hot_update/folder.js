// Packs a chosen or dropped folder into a zip and puts it into the form's file field. Without this
// script the form takes an archive.
(() => {
  "use strict";

  const MOST_FILES = 500;
  const MOST_BYTES = 50 * 1024 * 1024;
  const MOST_SEEN = 20_000;
  const LEFT_OUT = new Set([".git", "__pycache__", ".venv", ".DS_Store", "__MACOSX", "node_modules"]);
  const ENTRIES = ["main.py", "main.sh"];

  const form = document.querySelector("[data-folder-form]");
  const part = form?.querySelector("[data-folder-part]");
  if (!part || !("DataTransfer" in window)) return;
  const drop = part.querySelector("[data-folder-drop]");
  const input = part.querySelector("[data-folder]");
  const said = part.querySelector("[data-folder-said]");
  const target = form.querySelector("input[type=file][name]");
  part.hidden = false;

  const CRC = new Uint32Array(256).map((_, index) => {
    let value = index;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1;
    return value;
  });

  function crcOf(bytes) {
    let crc = 0xffffffff;
    for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
    return (crc ^ 0xffffffff) >>> 0;
  }

  // The fields that a file's own header and the archive's index share; stored, not compressed.
  function headerOf(signature, central, name, size, crc, offset) {
    const view = new DataView(new ArrayBuffer(central ? 46 : 30));
    view.setUint32(0, signature, true);
    let at = 4;
    const short = (value) => (view.setUint16(at, value, true), (at += 2));
    const long = (value) => (view.setUint32(at, value, true), (at += 4));
    if (central) short(20);
    short(20);
    short(0x0800); // Names are UTF-8.
    short(0);
    short(0);
    short(0x21); // 1 January 1980: the same files make the same archive.
    long(crc);
    long(size);
    long(size);
    short(name.length);
    short(0);
    if (central) {
      short(0);
      short(0);
      short(0);
      long(0);
      long(offset);
    }
    return view.buffer;
  }

  async function zipOf(files) {
    const parts = [];
    const index = [];
    let offset = 0;
    for (const { path, file } of files) {
      const name = new TextEncoder().encode(path);
      const bytes = new Uint8Array(await file.arrayBuffer());
      const crc = crcOf(bytes);
      parts.push(headerOf(0x04034b50, false, name, bytes.length, crc, 0), name, bytes);
      index.push(headerOf(0x02014b50, true, name, bytes.length, crc, offset), name);
      offset += 30 + name.length + bytes.length;
    }
    const end = new DataView(new ArrayBuffer(22));
    end.setUint32(0, 0x06054b50, true);
    end.setUint16(8, files.length, true);
    end.setUint16(10, files.length, true);
    end.setUint32(12, index.reduce((sum, each) => sum + each.byteLength, 0), true);
    end.setUint32(16, offset, true);
    return new Blob([...parts, ...index, end.buffer], { type: "application/zip" });
  }

  const isWanted = (path) => !path.split("/").some((one) => LEFT_OUT.has(one)) && !path.endsWith(".pyc");

  function complain(text) {
    said.textContent = text;
    said.classList.add("field-error");
    drop.classList.add("is-invalid");
    drop.classList.remove("is-packed");
    target.value = "";
    target.dispatchEvent(new Event("change", { bubbles: true }));
  }

  async function take(name, found) {
    const files = found.filter(({ path }) => isWanted(path));
    if (files.length > MOST_FILES) return complain(said.dataset.tooMany);
    const size = files.reduce((sum, { file }) => sum + file.size, 0);
    if (size > MOST_BYTES) return complain(said.dataset.tooLarge);
    if (!files.some(({ path }) => ENTRIES.includes(path))) return complain(said.dataset.noEntry);
    const transfer = new DataTransfer();
    transfer.items.add(new File([await zipOf(files)], `${name}.zip`, { type: "application/zip" }));
    target.files = transfer.files;
    target.dispatchEvent(new Event("change", { bubbles: true }));
    said.classList.remove("field-error");
    drop.classList.remove("is-invalid");
    drop.classList.add("is-packed");
    said.textContent = `${name}: ${files.length} ${said.dataset.packed}`;
  }

  input.addEventListener("change", () => {
    const files = Array.from(input.files);
    if (!files.length) return;
    const name = files[0].webkitRelativePath.split("/")[0] || "script";
    const found = files.map((file) => ({ path: file.webkitRelativePath.split("/").slice(1).join("/"), file }));
    take(name, found);
  });

  async function walk(folder, prefix, found) {
    const reader = folder.createReader();
    for (;;) {
      const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
      if (!entries.length) return;
      for (const entry of entries) {
        const path = prefix + entry.name;
        if (!isWanted(path)) continue;
        if (found.length > MOST_SEEN) return;
        if (entry.isDirectory) await walk(entry, `${path}/`, found);
        else found.push({ path, file: await new Promise((resolve, reject) => entry.file(resolve, reject)) });
      }
    }
  }

  drop.addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("is-over");
  });
  drop.addEventListener("dragleave", () => drop.classList.remove("is-over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("is-over");
    const entry = event.dataTransfer.items[0]?.webkitGetAsEntry?.();
    if (!entry?.isDirectory) return complain(said.dataset.noEntry);
    const found = [];
    await walk(entry, "", found);
    await take(entry.name, found);
  });
})();
