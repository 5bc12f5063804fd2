// What makes the fleet page live: when the server tells of a change, the page is fetched again and what differs is put in
// its place, so that focus, selection and scroll position stay. Without this script the page is complete, and stands still.
"use strict";

(() => {
	const pause = 1000; // milliseconds between two fetches, at least
	const live = document.getElementById("live");
	let wanted = false, fetching = false, last = 0, timer = 0;

	function say(on, text) {
		live.textContent = text;
		live.classList.toggle("on", on);
	}

	async function refresh() {
		if (fetching) { wanted = true; return; }
		clearTimeout(timer);
		const wait = last + pause - Date.now();
		if (wait > 0 || document.hidden) {
			wanted = true;
			if (!document.hidden) timer = setTimeout(refresh, wait);
			return;
		}
		fetching = true; wanted = false; last = Date.now();
		try {
			const answer = await fetch(location.href, {headers: {Accept: "text/html"}, cache: "no-store"});
			if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
			const next = new DOMParser().parseFromString(await answer.text(), "text/html");
			Idiomorph.morph(document.querySelector("main"), next.querySelector("main"), {
				ignoreActiveValue: true,
				callbacks: {
					// What the reader has typed or opened, and what a chart has drawn, is not the server's.
					beforeNodeMorphed: old => !(old.nodeType === 1 && (old.matches("form.filter input, form.filter select") || old.dataset.chart)),
					beforeAttributeUpdated: (name, node) => !(node.nodeName === "DETAILS" && name === "open"),
				},
			});
			decorate();
			say(true, "live");
		} catch (error) {
			say(false, "out of date: " + error.message);
			wanted = true;
			timer = setTimeout(refresh, 5 * pause);
		}
		fetching = false;
		if (wanted && !timer) refresh();
		timer = 0;
	}

	function ago(seconds) {
		if (seconds < 5) return "just now";
		for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
			if (seconds >= length) return Math.floor(seconds / length) + " " + unit + " ago";
		}
		return Math.floor(seconds) + " s ago";
	}

	function times() {
		for (const node of document.querySelectorAll("time.ago")) {
			const at = new Date(node.dateTime);
			node.title = at.toLocaleString();
			node.textContent = ago(Math.max(0, (Date.now() - at) / 1000));
		}
	}

	const charts = new Map();

	async function chart(box) {
		let data;
		try {
			const answer = await fetch(box.dataset.chart, {headers: {Accept: "application/json"}, cache: "no-store"});
			if (!answer.ok) throw new Error(answer.status + " " + answer.statusText);
			data = await answer.json();
		} catch (error) {
			box.textContent = "cannot load the figures: " + error.message;
			return;
		}
		const drawn = charts.get(box);
		const names = data.series.map(series => series.name).join();
		if (!data.times.length) {
			box.textContent = "No figures yet: they come with the device's polls, one every few minutes.";
			charts.delete(box);
			return;
		}
		const columns = [data.times, ...data.series.map(series => series.values)];
		if (drawn && drawn.names === names) {
			drawn.plot.setData(columns);
			return;
		}
		const style = getComputedStyle(document.documentElement);
		const ink = style.getPropertyValue("--soft"), line = style.getPropertyValue("--line");
		const strokes = ["--busy", "--good", "--warn", "--bad", "--idle"].map(name => style.getPropertyValue(name));
		box.replaceChildren();
		const axis = {stroke: ink, grid: {stroke: line, width: 1}, ticks: {stroke: line, width: 1}};
		const plot = new uPlot({
			width: box.clientWidth, height: 220,
			scales: {x: {range: (_, low, high) => [Math.min(low, high - 3600), high]}, y: {range: (_, low, high) => [Math.min(0, low), Math.max(1, high)]}},
			axes: [axis, {...axis, size: 60}],
			series: [{}, ...data.series.map((series, i) => ({
				label: series.name, stroke: strokes[i % strokes.length], width: 2, spanGaps: false,
				dash: i >= strokes.length ? [6, 4] : [], points: {show: data.times.length < 3},
			}))],
		}, columns, box);
		charts.set(box, {plot, names});
	}

	function decorate() {
		times();
		for (const box of document.querySelectorAll("[data-chart]")) chart(box);
	}

	new ResizeObserver(() => {
		for (const [box, {plot}] of charts) plot.setSize({width: box.clientWidth, height: 220});
	}).observe(document.querySelector("main"));
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
		for (const {plot} of charts.values()) plot.destroy();
		charts.clear();
		decorate();
	});
	document.addEventListener("visibilitychange", () => { if (!document.hidden && wanted) refresh(); });
	document.addEventListener("change", event => { if (event.target.matches("form.filter select")) event.target.form.requestSubmit(); });
	setInterval(times, 10000);

	decorate();
	const events = new EventSource(document.body.dataset.events);
	let opened = false;
	events.onopen = () => { say(true, "live"); if (opened) refresh(); opened = true; }; // what happened while it was away is not told
	events.onerror = () => say(false, "not connected, trying again");
	for (const kind of ["device", "target", "lost"]) events.addEventListener(kind, refresh);
})();
