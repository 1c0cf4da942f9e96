"use strict";
// The dying frames in 3-D, in the elements of a page that are named below; used by the report and
// by the dashboard.
window.sisViewer = function (scenes) {
  const life = new AbortController(), end = function () { life.abort(); };
  const canvas = document.getElementById("canvas");
  if (!canvas || !scenes.length) { return end; }

  // Covalent radii, Å (Cordero et al. 2008); colours after the usual convention, on grey ground.
  const RADII = { H: 0.31, He: 0.28, Li: 1.28, Be: 0.96, B: 0.84, C: 0.76, N: 0.71, O: 0.66,
    F: 0.57, Na: 1.66, Mg: 1.41, Al: 1.21, Si: 1.11, P: 1.07, S: 1.05, Cl: 1.02, Ar: 1.06, K: 2.03,
    Ca: 1.76, Ti: 1.60, Fe: 1.32, Co: 1.26, Ni: 1.24, Cu: 1.32, Zn: 1.22, Br: 1.20, I: 1.39 };
  const PAINT = { H: "#e8e8e8", Li: "#b47bd6", B: "#e9a79a", C: "#5b6166", N: "#4a6fe0",
    O: "#d8392b", F: "#57b85a", Na: "#9a6adf", Mg: "#6fae2f", Al: "#b3a2a2", Si: "#c9a27a",
    P: "#e08a2e", S: "#d9b92c", Cl: "#3fae3f", K: "#8148b8", Br: "#9a3b22", I: "#7d3f92" };
  const radius = function (element) { return RADII[element] || 1.3; };
  const paint = function (element) { return PAINT[element] || "#8fa3ad"; };

  const pick = document.getElementById("scene"), step = document.getElementById("step");
  const what = document.getElementById("what"), names = document.getElementById("names");
  const view = { turn: [1, 0, 0, 0, 1, 0, 0, 0, 1], zoom: 1 };

  function multiply(a, b) {
    const out = [];
    for (let r = 0; r < 3; r += 1) {
      for (let c = 0; c < 3; c += 1) {
        out.push(a[3 * r] * b[c] + a[3 * r + 1] * b[3 + c] + a[3 * r + 2] * b[6 + c]);
      }
    }
    return out;
  }

  function rotate(dx, dy) {
    const ca = Math.cos(dx), sa = Math.sin(dx), cb = Math.cos(dy), sb = Math.sin(dy);
    view.turn = multiply(multiply([1, 0, 0, 0, cb, -sb, 0, sb, cb],
      [ca, 0, sa, 0, 1, 0, -sa, 0, ca]), view.turn);
  }

  function scene() { return scenes[Number(pick.value)]; }

  // The scale is that of the first frame's 90 % of atoms, so that one that flies off is seen to fly.
  function reach(shown) {
    const p = shown.frames[0].positions, far = [];
    for (let i = 0; i < p.length; i += 3) { far.push(Math.hypot(p[i], p[i + 1], p[i + 2])); }
    far.sort(function (a, b) { return a - b; });
    return Math.max(far[Math.floor(0.9 * (far.length - 1))], 1.5) + 1.2;
  }

  function bonds(species, p) {
    const found = [];
    for (let i = 0; i < species.length; i += 1) {
      for (let j = i + 1; j < species.length; j += 1) {
        const limit = 1.25 * (radius(species[i]) + radius(species[j]));
        const dx = p[3 * i] - p[3 * j], dy = p[3 * i + 1] - p[3 * j + 1];
        const dz = p[3 * i + 2] - p[3 * j + 2];
        if (dx * dx + dy * dy + dz * dz < limit * limit) { found.push([i, j]); }
      }
    }
    return found;
  }

  function project(p, i, scale, w, h) {
    const t = view.turn, x = p[3 * i], y = p[3 * i + 1], z = p[3 * i + 2];
    const depth = t[6] * x + t[7] * y + t[8] * z;
    const near = 1 / (1 - depth * scale / (6 * h));
    const size = near > 0 && near < 6 ? near : 6;
    return { x: w / 2 + (t[0] * x + t[1] * y + t[2] * z) * scale * size,
      y: h / 2 - (t[3] * x + t[4] * y + t[5] * z) * scale * size, z: depth, size: size };
  }

  function corners(shown) {
    const c = shown.cell, o = shown.origin, out = [];
    for (let k = 0; k < 8; k += 1) {
      for (let d = 0; d < 3; d += 1) {
        out.push(o[d] + (k & 1 ? c[d] : 0) + (k & 2 ? c[3 + d] : 0) + (k & 4 ? c[6 + d] : 0));
      }
    }
    return out;
  }

  function drawCell(pen, shown, scale, w, h, colour) {
    const p = corners(shown);
    pen.strokeStyle = colour;
    pen.lineWidth = 1;
    for (let a = 0; a < 8; a += 1) {
      for (let bit = 1; bit < 8; bit *= 2) {
        if (a & bit) { continue; }
        const from = project(p, a, scale, w, h), to = project(p, a | bit, scale, w, h);
        pen.beginPath(); pen.moveTo(from.x, from.y); pen.lineTo(to.x, to.y); pen.stroke();
      }
    }
  }

  function drawAtom(pen, at, r, element, guilty, alarm, line) {
    const shade = pen.createRadialGradient(at.x - r / 3, at.y - r / 3, r / 8, at.x, at.y, r);
    shade.addColorStop(0, "#ffffff");
    shade.addColorStop(0.35, paint(element));
    shade.addColorStop(1, paint(element));
    pen.fillStyle = shade;
    pen.strokeStyle = line;
    pen.lineWidth = 0.8;
    pen.beginPath(); pen.arc(at.x, at.y, r, 0, 2 * Math.PI); pen.fill(); pen.stroke();
    if (guilty) {
      pen.strokeStyle = alarm;
      pen.lineWidth = 3;
      pen.beginPath(); pen.arc(at.x, at.y, r + 4, 0, 2 * Math.PI); pen.stroke();
    }
  }

  function draw() {
    const ratio = window.devicePixelRatio || 1, w = canvas.clientWidth, h = canvas.clientHeight;
    canvas.width = Math.round(w * ratio);
    canvas.height = Math.round(h * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    const css = getComputedStyle(document.documentElement);
    const ink = css.getPropertyValue("--ink"), soft = css.getPropertyValue("--soft");
    const alarm = css.getPropertyValue("--bad"), ground = css.getPropertyValue("--panel");
    pen.fillStyle = ground;
    pen.fillRect(0, 0, w, h);
    const shown = scene(), frame = shown.frames[Number(step.value)], p = frame.positions;
    const scale = view.zoom * 0.46 * Math.min(h, w) / reach(shown);
    if (shown.cell) { drawCell(pen, shown, scale, w, h, soft); }
    const places = shown.species.map(function (_, i) { return project(p, i, scale, w, h); });
    const sizes = places.map(function (place, i) {
      return Math.max(2, (0.14 + 0.26 * Math.sqrt(radius(shown.species[i]))) * scale * place.size);
    });
    const items = bonds(shown.species, p).map(function (pair) {
      return { z: (places[pair[0]].z + places[pair[1]].z) / 2 - 0.05, pair: pair };
    });
    places.forEach(function (place, i) { items.push({ z: place.z, atom: i }); });
    items.sort(function (a, b) { return a.z - b.z; });
    items.forEach(function (item) {
      if (item.pair) {
        const from = shortened(places, sizes, item.pair), to = shortened(places, sizes, item.pair.slice().reverse());
        pen.strokeStyle = soft;
        pen.lineWidth = Math.max(1.5, 0.13 * scale * places[item.pair[0]].size);
        pen.lineCap = "round";
        pen.beginPath(); pen.moveTo(from.x, from.y); pen.lineTo(to.x, to.y); pen.stroke();
        return;
      }
      const i = item.atom, at = places[i], element = shown.species[i];
      const r = sizes[i];
      drawAtom(pen, at, r, element, shown.guilty.indexOf(i) >= 0, alarm, soft);
      if (names.checked || shown.guilty.indexOf(i) >= 0) {
        pen.font = "600 12px system-ui, sans-serif";
        pen.lineWidth = 3;
        pen.strokeStyle = ground;
        pen.strokeText(element + i, at.x + r + 5, at.y + 4);
        pen.fillStyle = ink;
        pen.fillText(element + i, at.x + r + 5, at.y + 4);
      }
    });
    scaleBar(pen, scale, h, ink);
    say(shown, frame);
  }

  // A bond's end, moved from the atom's centre towards its other end so that it meets the surface.
  function shortened(places, sizes, pair) {
    const a = places[pair[0]], b = places[pair[1]];
    const length = Math.max(Math.hypot(b.x - a.x, b.y - a.y), 1);
    const cut = Math.min(0.75 * sizes[pair[0]] / length, 0.5);
    return { x: a.x + cut * (b.x - a.x), y: a.y + cut * (b.y - a.y) };
  }

  function scaleBar(pen, scale, h, ink) {
    const length = [0.5, 1, 2, 5, 10].find(function (l) { return l * scale > 40; }) || 20;
    pen.strokeStyle = ink;
    pen.fillStyle = ink;
    pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(14, h - 14); pen.lineTo(14 + length * scale, h - 14); pen.stroke();
    pen.font = "12px system-ui, sans-serif";
    pen.fillText(length + " Å", 14, h - 20);
  }

  function say(shown, frame) {
    const parts = [(frame.time_fs / 1000).toFixed(4) + " ps"];
    if (frame.temperature_k !== null) { parts.push(frame.temperature_k.toFixed(0) + " K"); }
    if (frame.energy !== null) { parts.push(frame.energy.toFixed(2) + " eV"); }
    what.textContent = "frame " + (Number(step.value) + 1) + " of " + shown.frames.length + ": " +
      parts.join(", ");
  }

  function choose() {
    const shown = scene(), legend = document.getElementById("legend");
    step.max = shown.frames.length - 1;
    step.value = shown.frames.length - 1;
    legend.textContent = "";
    Array.from(new Set(shown.species)).sort().forEach(function (element) {
      legend.appendChild(key(element, paint(element), ""));
    });
    if (shown.guilty.length) { legend.appendChild(key("named by the verdict", "", "guilty")); }
    const verdict = document.createElement("span");
    verdict.textContent = shown.verdict;
    legend.appendChild(verdict);
    home();
  }

  function key(text, fill, css) {
    const entry = document.createElement("span"), mark = document.createElement("i");
    mark.className = css;
    if (fill) { mark.style.background = fill; }
    entry.appendChild(mark);
    entry.appendChild(document.createTextNode(text));
    return entry;
  }

  function zoomBy(factor) {
    view.zoom = Math.min(8, Math.max(0.05, view.zoom * factor));
    draw();
  }

  function move(by) {
    step.value = Math.min(Number(step.max), Math.max(0, Number(step.value) + by));
    draw();
  }

  function home() {
    view.turn = scene().turn.slice();
    view.zoom = 1;
    rotate(-0.25, 0.3);
    draw();
  }

  const touches = new Map();
  canvas.addEventListener("pointerdown", function (event) {
    canvas.setPointerCapture(event.pointerId);
    touches.set(event.pointerId, [event.clientX, event.clientY]);
  });
  canvas.addEventListener("pointermove", function (event) {
    const before = touches.get(event.pointerId);
    if (!before) { return; }
    const now = [event.clientX, event.clientY];
    if (touches.size === 2) {
      const other = Array.from(touches).find(function (t) { return t[0] !== event.pointerId; })[1];
      const ratio = Math.hypot(now[0] - other[0], now[1] - other[1]) /
        Math.max(Math.hypot(before[0] - other[0], before[1] - other[1]), 1);
      zoomBy(ratio);
    } else {
      rotate((now[0] - before[0]) * 0.01, (now[1] - before[1]) * 0.01);
      draw();
    }
    touches.set(event.pointerId, now);
  });
  ["pointerup", "pointercancel"].forEach(function (name) {
    canvas.addEventListener(name, function (event) { touches.delete(event.pointerId); });
  });
  canvas.addEventListener("wheel", function (event) {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * 0.0015));
  }, { passive: false });
  canvas.addEventListener("keydown", function (event) {
    const turns = { ArrowLeft: [-0.12, 0], ArrowRight: [0.12, 0], ArrowUp: [0, -0.12], ArrowDown: [0, 0.12] };
    if (turns[event.key]) {
      event.preventDefault();
      rotate(turns[event.key][0], turns[event.key][1]);
      draw();
    }
    if (event.key === "+" || event.key === "=") { zoomBy(1.2); }
    if (event.key === "-") { zoomBy(1 / 1.2); }
  });
  pick.addEventListener("change", choose);
  step.addEventListener("input", draw);
  names.addEventListener("change", draw);
  document.getElementById("back").addEventListener("click", function () { move(-1); });
  document.getElementById("forward").addEventListener("click", function () { move(1); });
  document.getElementById("larger").addEventListener("click", function () { zoomBy(1.25); });
  document.getElementById("smaller").addEventListener("click", function () { zoomBy(0.8); });
  document.getElementById("home").addEventListener("click", home);
  document.getElementById("save-png").addEventListener("click", function () {
    canvas.toBlob(function (blob) {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = "frame.png";
      link.click();
      setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
    });
  });
  window.addEventListener("resize", draw, { signal: life.signal });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw, { signal: life.signal });
  choose();
  return end;
};
