// What makes the fleet page live. When the server tells of a change, the script fetches the page again and puts what
// differs in its place, so that focus, selection and scroll position stay. Without this script the page is complete, and
// stands still.
"use strict";

(() => {
	const pause = 1000, retry = 5000; // milliseconds from one fetch to the next; after one that failed
	const chartHeight = 160; // pixels
	const live = document.getElementById("live");
	const sleep = time => new Promise(resolve => setTimeout(resolve, time));

	// told: something may have changed since the last fetch began. Whatever tells sets it, at any time; keep alone clears
	// it, before it fetches. So what comes during a fetch leads to another one.
	let told = false, wake = () => {};
	function tell() { told = true; wake(); }

	async function keep() {
		for (;;) {
			while (!told || document.hidden) await new Promise(resolve => { wake = resolve; });
			told = false;
			const done = await refresh();
			if (!done) told = true;
			await sleep(done ? pause : retry);
		}
	}

	// The two things that "live" claims: the server can tell of changes, and the last fetch succeeded.
	let connected = false, trouble = "";
	// A page with a form that changes something, and an answer to one, stay as they are: they belong to who types.
	const still = document.querySelector("form[method=post], [data-still]") !== null;
	function say() {
		if (still) return;
		live.textContent = trouble || (connected ? "live" : "not connected, trying again");
		live.classList.toggle("on", connected && !trouble);
	}

	async function refresh() {
		try {
			const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
			const next = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
			// A device that was removed and a filter that is none have pages of their own.
			if (!next || !answer.ok && answer.status !== 404 && answer.status !== 422) {
				throw new Error(answer.status + " " + answer.statusText);
			}
			Idiomorph.morph(document.querySelector("main"), next, {
				ignoreActiveValue: true,
				callbacks: {
					// What the reader has typed or opened, and what a chart has drawn, is not the server's.
					beforeNodeMorphed: old => !(old.nodeType === 1 && (old.matches("form.filter input, form.filter select") || old.dataset.chart)),
					beforeAttributeUpdated: (name, node) => !(node.nodeName === "DETAILS" && name === "open"),
				},
			});
			await decorate();
			trouble = "";
		} catch (error) {
			trouble = "out of date: " + error.message;
		}
		say();
		return !trouble;
	}

	// The page says when to look again although nothing was told: some of it follows from the time.
	let later = 0;
	function again() {
		clearTimeout(later);
		later = setTimeout(tell, Number(document.querySelector("main").dataset.again) || 30000);
	}

	function ago(seconds) {
		if (seconds < 5) return "just now";
		for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
			if (seconds >= length) return Math.floor(seconds / length) + " " + unit + " ago";
		}
		return Math.floor(seconds) + " s ago";
	}

	// moment is the time of day, with the date if it is another one than today.
	function moment(at) {
		const time = at.toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false});
		return at.toDateString() === new Date().toDateString() ? time : at.toLocaleDateString() + " " + time;
	}

	function times() {
		for (const node of document.querySelectorAll("time.ago")) {
			const at = new Date(node.dateTime);
			node.title = at.toLocaleString();
			node.textContent = ago(Math.max(0, (Date.now() - at) / 1000));
		}
		for (const node of document.querySelectorAll("time.clock")) node.textContent = moment(new Date(node.dateTime));
	}

	const charts = new Map(); // box -> what is drawn in it

	function erase(box) {
		charts.get(box)?.plot.destroy();
		charts.delete(box);
		box.replaceChildren();
	}

	async function chart(box) {
		let data;
		try {
			const answer = await fetch(box.dataset.chart, {headers: {Accept: "application/json"}, cache: "no-store"});
			if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
			data = await answer.json();
		} catch (error) {
			erase(box);
			box.textContent = "Cannot load the figures: " + error.message;
			return;
		}
		if (!data.times.length) {
			erase(box);
			box.textContent = box.dataset.none;
			return;
		}
		const columns = [data.times, ...data.series.map(series => series.values)];
		const names = data.series.map(series => series.name).join("\n");
		const drawn = charts.get(box);
		if (drawn && drawn.names === names) {
			drawn.plot.setData(columns);
			return;
		}
		erase(box);
		box.plot = draw(box, data.series, columns); // for whoever looks at it from outside
		charts.set(box, {plot: box.plot, names});
	}

	// span is what an axis of time shows: from the first point to the last, and an hour at the least. uPlot's own proposal
	// for a single point is years.
	function span(plot) {
		const times = plot.data[0], first = times[0], last = times[times.length - 1];
		const length = Math.max(last - first, 3600);
		return [last - length, last + length / 50];
	}

	const last = list => list[list.length - 1];
	const clock = at => new Date(at * 1000).toLocaleTimeString([], {hour: "2-digit", minute: "2-digit", hour12: false});
	const whole = Array.from({length: 16}, (_, i) => [1, 2, 5].map(n => n * 10 ** i)).flat(); // steps of the axis of numbers

	// shown is what the legend says of a series: its value where the pointer is, else its last one.
	function shown(plot, value, series, at) {
		if (at === null || at === undefined) value = plot.data[series].findLast(one => one !== null);
		return value === null || value === undefined ? "–" : String(+value.toFixed(2));
	}

	function draw(box, series, columns) {
		const style = getComputedStyle(document.documentElement), color = name => style.getPropertyValue(name);
		const strokes = ["--busy", "--good", "--warn", "--bad", "--idle"].map(color);
		const axis = {stroke: color("--soft"), grid: {stroke: color("--line"), width: 1}, ticks: {stroke: color("--line"), width: 1}};
		return new uPlot({
			width: box.clientWidth, height: chartHeight, cursor: {y: false},
			scales: {x: {range: span}, y: {range: (_, low, high) => [Math.min(0, low), Math.max(1, high * 1.05)]}},
			axes: [{...axis, values: (_, ticks) => ticks.map(clock)}, {...axis, size: 56, incrs: whole}],
			series: [{label: "at", value: (plot, at) => clock(at ?? last(plot.data[0]))}, ...series.map((one, i) => ({
				label: one.name, stroke: strokes[i % strokes.length], width: 2, spanGaps: false,
				dash: i >= strokes.length ? [6, 4] : [], value: shown,
			}))],
		}, columns, box);
	}

	function decorate() {
		times();
		again();
		for (const box of charts.keys()) if (!box.isConnected) erase(box);
		return Promise.all(Array.from(document.querySelectorAll("[data-chart]"), chart));
	}

	new ResizeObserver(() => {
		for (const [box, {plot}] of charts) plot.setSize({width: box.clientWidth, height: chartHeight});
	}).observe(document.querySelector("main"));
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
		for (const box of [...charts.keys()]) erase(box);
		decorate();
	});
	document.addEventListener("change", event => { if (event.target.matches("form.filter select")) event.target.form.requestSubmit(); });
	document.addEventListener("visibilitychange", () => wake());
	addEventListener("pageshow", event => { if (event.persisted) tell(); });
	setInterval(times, 10000);

	// The plan beside a form follows what is typed. The answer is the whole page; its plan is taken.
	function plan(form) {
		const box = document.getElementById(form.dataset.plan);
		let timer = 0, asked = 0;
		async function ask() {
			const turn = ++asked, fields = new URLSearchParams(new FormData(form));
			fields.set("act", "plan");
			let next, text;
			try {
				const answer = await fetch(location.href, {method: "POST", body: fields, headers: {Accept: "text/html"}});
				const page = new DOMParser().parseFromString(await answer.text(), "text/html");
				next = page.getElementById(form.dataset.plan);
				text = page.querySelector("main")?.textContent || answer.statusText;
			} catch (error) {
				text = "The plan cannot be asked for: " + error.message;
			}
			if (turn !== asked) return; // something else was typed meanwhile
			if (next) box.replaceChildren(...next.childNodes);
			else box.textContent = text;
		}
		form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(ask, 600); });
	}

	document.querySelectorAll("form[data-plan]").forEach(plan);
	decorate();
	if (still) return;
	keep();
	function listen() {
		const events = new EventSource(document.body.dataset.events);
		// What happened before the connection stood was told to nobody.
		events.onopen = () => { connected = true; say(); tell(); };
		events.onerror = () => { connected = false; say(); };
		for (const kind of ["device", "target", "release", "lost"]) events.addEventListener(kind, tell);
	}

	// A browser sends a password without being asked only to addresses below the one where it was asked. The stream of events is
	// elsewhere, and an event source cannot answer: so the browser is asked at the root first.
	const root = new URL("..", new URL(document.body.dataset.events, location.href));
	fetch(root, {method: "HEAD", headers: {Accept: "text/html"}, cache: "no-store"}).then(listen, listen);
})();
