"use strict";
(function () {
  function download(name, type, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: type }));
    link.download = name;
    link.click();
    setTimeout(function () { URL.revokeObjectURL(link.href); }, 1000);
  }

  // ------------------------------------------------------------- figures as SVG, tables as CSV

  const STYLES = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray",
    "stroke-linejoin", "font-size", "font-weight", "font-family", "text-anchor", "paint-order"];

  function styledCopy(svg) {
    const copy = svg.cloneNode(true);
    const from = svg.querySelectorAll("*"), to = copy.querySelectorAll("*");
    for (let i = 0; i < from.length; i += 1) {
      const seen = getComputedStyle(from[i]);
      to[i].setAttribute("style", STYLES.map(function (name) {
        return name + ":" + seen.getPropertyValue(name);
      }).join(";"));
    }
    return copy;
  }

  function saveSvg(id) {
    const box = document.getElementById(id).querySelector(".panels");
    const outer = box.getBoundingClientRect();
    const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    whole.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    const margin = 10, width = outer.width + 2 * margin, height = outer.height + 2 * margin;
    whole.setAttribute("viewBox", "0 0 " + width + " " + height);
    whole.setAttribute("width", width);
    whole.setAttribute("height", height);
    const ground = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    ground.setAttribute("width", "100%");
    ground.setAttribute("height", "100%");
    ground.setAttribute("fill", getComputedStyle(document.body).backgroundColor);
    whole.appendChild(ground);
    box.querySelectorAll("svg.panel").forEach(function (svg) {
      const place = svg.getBoundingClientRect();
      const copy = styledCopy(svg);
      copy.setAttribute("x", place.left - outer.left + margin);
      copy.setAttribute("y", place.top - outer.top + margin);
      copy.setAttribute("width", place.width);
      copy.setAttribute("height", place.height);
      whole.appendChild(copy);
    });
    download(id + ".svg", "image/svg+xml", new XMLSerializer().serializeToString(whole));
  }

  function saveCsv(id) {
    const rows = Array.from(document.getElementById(id).querySelectorAll("tr"));
    const text = rows.map(function (row) {
      return Array.from(row.children).map(function (cell) {
        return '"' + cell.textContent.replace(/"/g, '""') + '"';
      }).join(",");
    }).join("\r\n");
    download(id + ".csv", "text/csv;charset=utf-8", "\ufeff" + text + "\r\n");
  }

  document.addEventListener("click", function (event) {
    const target = event.target;
    if (!target.dataset) { return; }
    if (target.dataset.svg) { saveSvg(target.dataset.svg); }
    if (target.dataset.csv) { saveCsv(target.dataset.csv); }
  });

  const data = document.getElementById("scenes-data");
  if (data) { window.sisViewer(JSON.parse(data.textContent)); }
}());
