/* loadgate's report: draws the plots, sorts the tables, and switches the theme. Everything else is in the page already. */

(() => {
  "use strict";

  const root = document.documentElement;
  const charts = JSON.parse(document.getElementById("loadgate-data").textContent).charts;
  const EVERYTHING = "*";
  const plots = [];

  root.classList.add("js");

  /* Theme: the system's, unless the reader chose. */

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const toggle = document.getElementById("theme");

  function isDark() {
    return root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
  }

  function showTheme() {
    toggle.setAttribute("aria-pressed", String(isDark()));
    drawAll();
  }

  function remembered() {
    try {
      return localStorage.getItem("loadgate-theme");
    } catch {
      return null; // a file opened from disk may have no storage
    }
  }

  toggle.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("loadgate-theme", root.dataset.theme);
    } catch {
      // the choice lasts as long as the page
    }
    showTheme();
  });
  dark.addEventListener("change", showTheme);

  /* Colours come from the style sheet; a canvas can't read its variables. */

  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);

  function colour(name) {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  }

  /* Numbers as the rest of the page writes them. */

  function short(number) {
    if (number >= 100) return number.toFixed(0);
    if (number >= 10) return number.toFixed(1).replace(/\.0$/, "");
    return String(Number(number.toPrecision(2)));
  }

  function ms(value) {
    if (value === null || value === undefined) return "–";
    if (value === 0) return "0";
    if (value < 1) return `${short(value * 1000)}µs`;
    if (value < 1000) return `${short(value)}ms`;
    return value < 60000 ? `${short(value / 1000)}s` : `${short(value / 60000)}min`;
  }

  function plain(value) {
    return value === null || value === undefined ? "–" : short(value);
  }

  function clock(seconds) {
    if (seconds === null || seconds === undefined) return "–";
    const whole = Math.round(seconds);
    const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
    return whole >= 3600 ? `${Math.floor(whole / 3600)}:${parts.join(":")}` : parts.join(":");
  }

  /* Plots */

  const FONT = "12px system-ui, sans-serif";

  function axis(options) {
    const grid = { stroke: colour("grid"), width: 1 };
    return { stroke: colour("soft"), font: FONT, grid, ticks: { show: false }, gap: 6, ...options };
  }

  function line(label, name, format, options = {}) {
    const value = (_, number) => format(number);
    return { label, stroke: colour(name), width: 1.75, points: { show: false }, value, spanGaps: false, ...options };
  }

  function shadeWarmup(u) {
    if (!charts.warmup) return;
    const left = Math.max(u.valToPos(0, "x", true), u.bbox.left);
    const right = Math.min(u.valToPos(charts.warmup, "x", true), u.bbox.left + u.bbox.width);
    if (right <= left) return;
    u.ctx.save();
    u.ctx.fillStyle = colour("shade");
    u.ctx.fillRect(left, u.bbox.top, right - left, u.bbox.height);
    u.ctx.restore();
  }

  /* Limits on what is drawn, dashed across the plot; red where they are broken. */
  function drawLimits(u) {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.textAlign = "right";
    ctx.textBaseline = "bottom";
    ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    for (const limit of Object.hasOwn(charts.limits, endpoint) ? charts.limits[endpoint] : []) {
      const y = Math.round(u.valToPos(limit.ms, "y", true)) + 0.5;
      if (y < bbox.top || y > bbox.top + bbox.height) continue;
      ctx.strokeStyle = ctx.fillStyle = colour(limit.broken ? "bad" : "soft");
      ctx.beginPath();
      ctx.moveTo(bbox.left, y);
      ctx.lineTo(bbox.left + bbox.width, y);
      ctx.stroke();
      ctx.fillText(`${limit.of} limit ${ms(limit.ms)}`, bbox.left + bbox.width - 4 * devicePixelRatio, y - 2 * devicePixelRatio);
    }
    ctx.restore();
  }

  /* Seconds that read well as clock times. */
  const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400];

  function overTime(height, format, series, extra = {}) {
    return {
      height,
      padding: [8, 22, 0, 0],
      cursor: { y: false, sync: { key: "run", scales: ["x", null] }, drag: { x: true, y: false }, points: { size: 6 } },
      scales: { x: { time: false }, y: { range: (_, low, high) => [0, high > 0 ? high * 1.08 : 1] } },
      axes: [
        axis({ values: (_, splits) => splits.map(clock), incrs: STEPS, size: 28, space: 64 }),
        axis({ values: (_, splits) => splits.map(format), size: 58, space: 34 }),
      ],
      series: [{ label: "time", value: (_, seconds) => clock(seconds) }, ...series],
      hooks: { drawClear: [shadeWarmup] },
      ...extra,
    };
  }

  function logScale() {
    return { distr: 3, log: 10, range: (_, low, high) => [low > 0 ? low * 0.8 : 0.1, high > 0 ? high * 1.25 : 1] };
  }

  /* A log axis is marked at powers of ten and, where those are few, at round numbers between them. */
  function logMarks(low, high) {
    for (const leads of [[1], [1, 3], [1, 2, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9]]) {
      const marks = [];
      for (let power = Math.floor(Math.log10(low)); 10 ** power <= high; power += 1) {
        marks.push(...leads.map((lead) => Number((lead * 10 ** power).toPrecision(3))));
      }
      const within = marks.filter((mark) => mark >= low && mark <= high);
      if (within.length >= 4 || leads.length === 9) return within;
    }
    return [];
  }

  function logAxis() {
    return { splits: (_, axisIndex, low, high) => logMarks(low, high), filter: (_, all) => all, values: (_, all) => all.map(ms) };
  }

  /* Labels that would run into each other in a narrow window are left out, the ones to the left first. */
  function keptApart(width) {
    return (u, marks) => {
      let next = Infinity;
      return marks.toReversed().map((mark) => {
        const at = u.valToPos(mark, "x");
        if (next - at < width) return null;
        next = at;
        return mark;
      }).toReversed();
    };
  }

  let endpoint = EVERYTHING;
  let logarithmic = false;

  const drawings = {
    latency: () => {
      const of = charts.latency[endpoint];
      const series = [line("p99", "high", ms), line("p95", "middle", ms), line("p50", "low", ms)];
      const options = overTime(300, ms, series);
      options.hooks.draw = [drawLimits];
      if (logarithmic) {
        options.scales.y = logScale();
        Object.assign(options.axes[1], logAxis());
      }
      return [options, [charts.time, of.p99, of.p95, of.p50]];
    },
    requests: () => {
      const series = [line("requests/s", "plain", plain, { fill: colour("shade") }), line("iterations/s", "low", plain)];
      return [overTime(170, plain, series), [charts.time, charts.requests, charts.iterations]];
    },
    failures: () => {
      const series = [
        line("failed/s", "bad", plain, { fill: colour("shade") }),
        line("dropped iterations/s", "calm", plain, { dash: [5, 4] }),
      ];
      return [overTime(150, plain, series), [charts.time, charts.failed, charts.dropped]];
    },
    vus: () => {
      const series = [line("VUs", "plain", plain, { fill: colour("shade"), paths: uPlot.paths.stepped({ align: 1 }) })];
      return [overTime(150, plain, series), [charts.time, charts.vus]];
    },
    percentiles: () => {
      const { quantiles, duration, service } = charts.distribution;
      const xs = quantiles.map((q) => -Math.log10(1 - q));
      const label = (x) => (x === null ? "" : `p${Number((100 * (1 - 10 ** -x)).toFixed(4))}`);
      const series = [{ label: "percentile", value: (_, x) => (x === null ? "–" : label(x)) }, line("latency", "middle", ms)];
      if (service) series.push(line("without the wait for its turn", "calm", ms, { dash: [5, 4] }));
      const marks = [0, -Math.log10(0.5), 1, 2, 3, 4, 5].filter((x) => x <= xs[xs.length - 1] + 0.01);
      const options = {
        height: 260,
        padding: [8, 16, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        scales: { x: { time: false }, y: logScale() },
        axes: [
          axis({ splits: () => marks, filter: keptApart(34), values: (_, splits) => splits.map(label), size: 28 }),
          axis({ size: 58, ...logAxis() }),
        ],
        series,
      };
      return [options, service ? [xs, duration, service] : [xs, duration]];
    },
    histogram: () => {
      const { bins } = charts.distribution;
      const total = bins.reduce((sum, bin) => sum + bin[2], 0);
      const binAt = (at) => bins[Math.round(at)];
      const edges = [...bins.map((bin) => bin[0]), bins[bins.length - 1][1]];
      const place = (value) => Math.log(value / edges[0]) / Math.log(edges[1] / edges[0]) - 0.5;
      const marks = new Map(logMarks(edges[0], edges[edges.length - 1]).map((value) => [place(value), ms(value)]));
      const percent = (_, count) => (count === null ? "–" : `${count} (${short((100 * count) / total)}%)`);
      const bars = uPlot.paths.bars({ size: [0.84, 64] });
      const range = (_, at) => (at === null ? "–" : `${ms(binAt(at)[0])} to ${ms(binAt(at)[1])}`);
      const options = {
        height: 260,
        padding: [8, 12, 0, 0],
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false, range: [-0.7, bins.length - 0.3] }, y: { range: (_, low, high) => [0, high * 1.08] } },
        axes: [
          axis({
            splits: () => [...marks.keys()],
            filter: keptApart(46),
            values: (_, splits) => splits.map((at) => marks.get(at) ?? ""),
            size: 28,
            grid: { show: false },
          }),
          axis({ values: (_, splits) => splits.map(plain), size: 58 }),
        ],
        series: [{ label: "took", value: range }, { label: "requests", fill: colour("middle"), width: 0, paths: bars, points: { show: false }, value: percent }],
      };
      return [options, [bins.map((_, at) => at), bins.map((bin) => bin[2])]];
    },
  };

  const synced = ["latency", "requests", "failures", "vus"];

  function draw(name) {
    const holder = document.getElementById(`plot-${name}`);
    if (!holder) return;
    const before = plots[name];
    const zoom = before && synced.includes(name) ? { min: before.scales.x.min, max: before.scales.x.max } : null;
    if (before) before.destroy();
    const [options, data] = drawings[name]();
    plots[name] = new uPlot({ ...options, width: holder.clientWidth }, data, holder);
    if (zoom && zoom.min !== null) plots[name].setScale("x", zoom);
  }

  function drawAll() {
    Object.keys(drawings).forEach(draw);
  }

  /* Zoom: drag, or + and - on a plot that has the focus; arrows move the cursor. All plots over time go together. */

  function whole() {
    return { min: charts.time[0], max: charts.time[charts.time.length - 1] };
  }

  function zoomTo(range) {
    for (const name of synced) if (plots[name]) plots[name].setScale("x", range);
  }

  function zoomBy(factor, plot) {
    const { min, max } = plot.scales.x;
    const at = plot.cursor.idx === null ? (min + max) / 2 : charts.time[plot.cursor.idx];
    const all = whole();
    zoomTo({ min: Math.max(all.min, at - (at - min) * factor), max: Math.min(all.max, at + (max - at) * factor) });
  }

  function moveCursor(plot, step) {
    const xs = plot.data[0];
    const from = plot.cursor.idx === null || plot.cursor.idx === undefined ? -1 : plot.cursor.idx;
    const index = Math.min(Math.max(from + step, 0), xs.length - 1);
    const group = synced.map((name) => plots[name]).filter((one) => one === plot || synced.some((name) => plots[name] === plot));
    for (const one of group.includes(plot) ? group : [plot]) {
      if (one) one.setCursor({ left: one.valToPos(xs[index], "x"), top: 10 });
    }
  }

  function onKey(name, event) {
    const plot = plots[name];
    const keys = {
      ArrowLeft: () => moveCursor(plot, -1),
      ArrowRight: () => moveCursor(plot, 1),
      "+": () => zoomBy(0.5, plot),
      "-": () => zoomBy(2, plot),
      Escape: () => zoomTo(whole()),
    };
    const act = keys[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!synced.includes(name) && !event.key.startsWith("Arrow")) return;
    event.preventDefault();
    act();
  }

  for (const name of Object.keys(drawings)) {
    const holder = document.getElementById(`plot-${name}`);
    if (!holder) continue;
    holder.addEventListener("keydown", (event) => onKey(name, event));
    new ResizeObserver(() => {
      const plot = plots[name];
      if (plot && holder.clientWidth && holder.clientWidth !== plot.width) plot.setSize({ width: holder.clientWidth, height: plot.height });
    }).observe(holder);
  }

  function on(id, event, act) {
    const element = document.getElementById(id);
    if (element) element.addEventListener(event, () => act(element));
  }

  on("reset-zoom", "click", () => zoomTo(whole()));
  on("endpoint", "change", (element) => {
    endpoint = element.value;
    draw("latency");
  });
  on("log-scale", "click", (element) => {
    logarithmic = !logarithmic;
    element.setAttribute("aria-pressed", String(logarithmic));
    draw("latency");
  });

  /* Tables */

  function keyOf(row, column) {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim().toLowerCase() : Number(cell.dataset.sort);
  }

  function sortBy(table, column, heading) {
    const body = table.tBodies[0];
    const before = heading.getAttribute("aria-sort");
    const isText = body.rows[0].cells[column].dataset.sort === undefined;
    // Names begin at A, figures with the largest; the next click turns it round.
    const descending = before ? before === "ascending" : !isText;
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    const rows = [...body.rows].sort((a, b) => compare(keyOf(a, column), keyOf(b, column)) * (descending ? -1 : 1));
    body.append(...rows);
  }

  for (const table of document.querySelectorAll("table.sortable")) {
    [...table.tHead.rows[0].cells].forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sortBy(table, column, heading));
    });
  }

  /* Paper is white whatever the screen is. */

  addEventListener("beforeprint", () => {
    root.dataset.printing = root.dataset.theme || "";
    root.dataset.theme = "light";
    for (const folded of document.querySelectorAll("details.document")) folded.open = true;
    drawAll();
  });
  addEventListener("afterprint", () => {
    if (root.dataset.printing) root.dataset.theme = root.dataset.printing;
    else delete root.dataset.theme;
    delete root.dataset.printing;
    drawAll();
  });

  const chosen = remembered();
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;
  showTheme();
})();
