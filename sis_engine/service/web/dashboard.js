"use strict";
// One stream of events; the page keeps no history, so that it can stay open for a week.
(function () {
  const at = function (id) { return document.getElementById(id); };
  const SILENT_AFTER_MS = 40000;
  let source = null, heard = Date.now(), chosen = decodeURIComponent(location.hash.slice(1));
  let version = null, endViewer = null, drawing = 0;

  function text(value, digits) {
    if (value === null || value === undefined) { return "–"; }
    return typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(digits || 3))) : String(value);
  }

  function clock(seconds) {
    if (seconds === null || seconds === undefined) { return "–"; }
    const whole = Math.round(seconds), h = Math.floor(whole / 3600), m = Math.floor(whole / 60) % 60;
    if (h >= 48) { return Math.floor(h / 24) + " d " + (h % 24) + " h"; }
    return h + ":" + String(m).padStart(2, "0") + ":" + String(whole % 60).padStart(2, "0");
  }

  function make(tag, css, content) {
    const made = document.createElement(tag);
    if (css) { made.className = css; }
    if (content !== undefined) { made.textContent = content; }
    return made;
  }

  // ------------------------------------------------------------- the list

  function showBoard(board) {
    const lines = at("lines"), known = new Map();
    Array.from(lines.children).forEach(function (item) { known.set(item.dataset.name, item); });
    const names = board.campaigns.map(function (line) { return line.name; });
    board.campaigns.forEach(function (line, place) {
      let item = known.get(line.name);
      if (!item) { item = newLine(line.name); }
      known.delete(line.name);
      fillLine(item, line);
      if (lines.children[place] !== item) { lines.insertBefore(item, lines.children[place] || null); }
    });
    known.forEach(function (item) { item.remove(); });
    at("none").hidden = names.length > 0;
    if (names.length && names.indexOf(chosen) < 0) {
      const first = board.campaigns.find(function (line) { return line.state === "running"; });
      choose((first || board.campaigns[0]).name);
    }
  }

  function newLine(name) {
    const item = make("li"), button = make("button");
    item.dataset.name = name;
    button.type = "button";
    ["title", "figure", "word"].forEach(function (css) { button.appendChild(make("span", css)); });
    button.addEventListener("click", function () { choose(name); });
    item.appendChild(button);
    return item;
  }

  function fillLine(item, line) {
    const button = item.firstChild, parts = button.children;
    button.setAttribute("aria-current", String(line.name === chosen));
    parts[0].textContent = line.name;
    parts[2].className = "word state-" + line.state;
    parts[2].textContent = "";
    parts[2].appendChild(make("span", "mark"));
    parts[2].appendChild(document.createTextNode(line.state));
    const figures = [];
    if (line.generation !== null) { figures.push("generation " + line.generation); }
    if (line.state === "running" && line.stage) {
      figures.push(line.stage + (line.fraction === null ? "" : " " + Math.round(100 * line.fraction) + " %"));
    } else if (line.longest_life_ps !== null) {
      figures.push(text(line.longest_life_ps) + " ps");
    }
    parts[1].textContent = figures.join(", ");
  }

  // ------------------------------------------------------------- one campaign

  function fillList(id, entries, fill) {
    const box = at(id), list = box.querySelector("ul") || box;
    box.hidden = entries.length === 0;
    list.textContent = "";
    entries.forEach(function (entry) { list.appendChild(fill(entry)); });
  }

  function command(entry) {
    const item = make("li"), copy = make("button", "save", "copy");
    copy.type = "button";
    copy.addEventListener("click", function () { navigator.clipboard.writeText(entry); });
    item.appendChild(make("code", "", entry));
    if (navigator.clipboard) { item.appendChild(copy); }
    return item;
  }

  function tile(name, value, note) {
    const box = make("div");
    box.appendChild(make("dt", "", name));
    box.appendChild(make("dd", "value", value));
    box.appendChild(make("dd", "definition", note));
    return box;
  }

  function showTiles(view) {
    const found = view.summary, box = at("tiles");
    box.textContent = "";
    if (!found) { return; }
    const purposes = Object.keys(found.evaluations).map(function (p) { return p + " " + found.evaluations[p]; });
    const audit = found.audit, last = view.last_progress;
    box.appendChild(tile("evaluations", text(found.evaluations_total), purposes.join(", ") || "none yet"));
    box.appendChild(tile("failed, from the bank", text(found.evaluations_failed) + ", " + text(found.evaluations_cached), "labels that gave none, and that cost nothing"));
    box.appendChild(tile("longest life", text(found.longest_life_ps) + " ps", "of any replica, to t_cp or to the end"));
    box.appendChild(tile("MD", text(found.md_ps) + " ps", view.md_steps_per_s === null ? "with the models" : text(view.md_steps_per_s) + " steps/s over all replicas"));
    box.appendChild(tile("audit", audit ? text(audit.relative_force_rmse) : "–", audit
      ? (audit.passed ? "passed" : "not passed") + " in generation " + audit.generation + "; relative force RMSE, upper limit " + text(audit.relative_upper) + ", bound " + text(audit.relative_limit)
      : "no survivor has been audited yet"));
    box.appendChild(tile("acceleration ratio", text(found.acceleration_ratio), "audited MD over all evaluations"));
    box.appendChild(tile("time", clock(found.cost_total_s), Object.keys(found.cost).map(function (s) { return s + " " + clock(found.cost[s]); }).join(", ") || "–"));
    box.appendChild(tile("last progress", last ? clock(Date.now() / 1000 - last) : "–", last ? "ago, the last stage ended: " + new Date(1000 * last).toLocaleString() : "no stage has ended yet"));
  }

  function showNow(view) {
    const now = view.now;
    at("now").hidden = !now;
    if (!now) { return; }
    at("stage").textContent = "Generation " + now.generation + ", " + now.stage + (now.fraction === null ? "" : ", " + Math.round(100 * now.fraction) + " %");
    const bar = at("fraction");
    if (now.fraction === null) { bar.removeAttribute("value"); } else { bar.value = now.fraction; }
    const parts = [];
    if (now.eta_s !== null) { parts.push(clock(now.eta_s) + " left of this stage"); }
    if (now.generation_eta_s !== null && now.generation_eta_s !== undefined) { parts.push(clock(now.generation_eta_s) + " to the end of the generation"); }
    if (now.temperature_k !== null) { parts.push("T " + Math.round(now.temperature_k) + " K"); }
    if (view.heartbeat_s > 60) { parts.push("last heard of " + clock(view.heartbeat_s) + " ago"); }
    if (now.message) { parts.push(now.message); }
    at("eta").textContent = parts.join(" · ");
    const lines = view.outlook ? view.outlook.lines : [];
    fillList("outlook", lines.map(function (line, k) { return k ? line : "End: " + line; }), function (line) { return make("li", "", line); });
  }

  function showCampaign(view) {
    if (view.name !== chosen) { return; }
    at("campaign").hidden = false;
    document.title = view.name + ", " + view.state + " – sis";
    at("name").textContent = view.name;
    at("state").className = "state state-" + view.state;
    at("state-word").textContent = view.state;
    at("reason").textContent = view.reason;
    fillList("waits", view.waits_for, function (line) { return make("li", "", line); });
    fillList("try", view.try_next, command);
    showNow(view);
    showTiles(view);
    fillList("troubles", view.troubles.slice().reverse(), function (entry) {
      const item = make("li", entry.level), when = make("time", "", entry.time.slice(0, 19).replace("T", " "));
      item.appendChild(when);
      item.appendChild(document.createTextNode(" " + entry.kind + ": " + entry.text));
      return item;
    });
    const log = at("log"), atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
    log.textContent = view.log.join("\n") || "– nothing yet";
    if (atEnd) { log.scrollTop = log.scrollHeight; }
    const seen = view.version + "/" + view.generation_files;
    if (seen !== version) {
      version = seen;
      draw(view.name);
    }
  }

  // ------------------------------------------------------------- figures and frames

  function drawn(svg) {
    const box = make("div", "panel-box");
    const read = new DOMParser().parseFromString(svg, "image/svg+xml").documentElement;
    if (read.nodeName === "svg") { box.appendChild(document.importNode(read, true)); }
    return box;
  }

  function figure(found) {
    const made = make("figure", "figure " + found.layout), panels = make("div", "panels");
    made.appendChild(make("h3", "", found.title));
    if (!found.panels.length) {
      made.appendChild(make("p", "nothing", "– " + found.note));
      return made;
    }
    found.panels.forEach(function (svg) { panels.appendChild(drawn(svg)); });
    made.appendChild(panels);
    made.appendChild(make("figcaption", "", found.caption));
    return made;
  }

  function get(path) {
    return fetch(path, { credentials: "same-origin" }).then(function (answer) {
      if (!answer.ok) { throw new Error(path + ": " + answer.status); }
      return answer.json();
    });
  }

  function draw(name) {
    const turn = drawing += 1, base = "/api/campaigns/" + encodeURIComponent(name);
    const stale = function () { return turn !== drawing || name !== chosen; };
    get(base + "/figures").then(function (figures) {
      if (stale()) { return; }
      at("live").textContent = "";
      if (figures[0].panels.length) { at("live").appendChild(figure(figures[0])); }
      at("figures").replaceChildren.apply(at("figures"), figures.slice(1).map(figure));
    }).catch(again);
    get(base + "/scenes").then(function (scenes) {
      if (!stale()) { showScenes(scenes); }
    }).catch(again);
  }

  function again() { version = null; }  // drawn at the next event

  function showScenes(scenes) {
    if (endViewer) { endViewer(); endViewer = null; }
    at("viewer-place").textContent = "";
    at("deaths").hidden = scenes.length === 0;
    if (!scenes.length) { return; }
    at("viewer-place").appendChild(at("viewer-template").content.cloneNode(true));
    scenes.forEach(function (scene, k) {
      const option = make("option", "", scene.title);
      option.value = k;
      at("scene").appendChild(option);
    });
    at("scene").value = scenes.length - 1;
    endViewer = window.sisViewer(scenes);
  }

  function showLive(live) {
    if (live.name !== chosen || !live.figure.panels.length) { return; }
    const made = figure(live.figure), there = document.querySelector("#live .panels");
    if (there) { there.replaceWith(made.querySelector(".panels")); } else { at("live").appendChild(made); }
  }

  // ------------------------------------------------------------- the stream

  function choose(name) {
    chosen = name;
    version = null;
    history.replaceState(null, "", "#" + encodeURIComponent(name));
    ["live", "figures"].forEach(function (id) { at(id).textContent = ""; });
    showScenes([]);
    Array.from(at("lines").children).forEach(function (item) {
      item.firstChild.setAttribute("aria-current", String(item.dataset.name === name));
    });
    connect();
  }

  function connect() {
    if (source) { source.close(); }
    heard = Date.now();
    source = new EventSource("/api/stream" + (chosen ? "?campaign=" + encodeURIComponent(chosen) : ""));
    const listen = function (kind, show) {
      source.addEventListener(kind, function (event) {
        heard = Date.now();
        say("live", false);
        show(JSON.parse(event.data));
      });
    };
    listen("board", showBoard);
    listen("campaign", showCampaign);
    listen("live", showLive);
    listen("alive", function () {});
    source.onopen = function () { heard = Date.now(); say("live", false); };
    source.onerror = function () { say("no connection; trying again", true); };
  }

  function say(words, lost) {
    at("link").textContent = words;
    at("link").classList.toggle("lost", lost);
  }

  // A stream can die without a word (a laptop that slept): ask anew when nothing came for long.
  setInterval(function () {
    if (Date.now() - heard > SILENT_AFTER_MS || source.readyState === 2) { connect(); }
  }, 5000);
  window.addEventListener("hashchange", function () {
    const name = decodeURIComponent(location.hash.slice(1));
    if (name && name !== chosen) { choose(name); }
  });
  connect();
}());
