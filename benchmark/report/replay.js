// A user's session step by step under two agents. `lives` has an entry a world: users, fields, pair, and each agent's
// lives, one a user: {first, steps: [[items, reward, state], ...], engagement, length, cut}.
// `looks` has each agent's colour and dash, which are those of the charts.

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function option(value, text) {
  const made = element("option", text);
  made.value = value;
  return made;
}

// A small picture of a list of numbers: a bar each, from the zero line.
function bars(values, low, high) {
  const known = values.filter((v) => v !== null);
  const top = Math.max(high ?? 0, ...known, 0), bottom = Math.min(low ?? 0, ...known, 0), span = top - bottom || 1;
  const place = "http://www.w3.org/2000/svg", width = 6, picture = document.createElementNS(place, "svg");
  picture.setAttribute("viewBox", `0 0 ${values.length * width} 30`);
  picture.setAttribute("class", "bars");
  picture.setAttribute("preserveAspectRatio", "none");
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `${values.length} numbers from ${Math.min(...known)} to ${Math.max(...known)}`);
  values.forEach((value, k) => {
    const bar = document.createElementNS(place, "rect"), from = ((top - Math.max(value ?? 0, 0)) / span) * 30;
    bar.setAttribute("x", k * width);
    bar.setAttribute("y", from);
    bar.setAttribute("width", width - 1);
    bar.setAttribute("height", Math.max(0.5, (Math.abs(value ?? 0) / span) * 30));
    picture.append(bar);
  });
  return picture;
}

// The state of a user as a list of names and numbers.
function stateOf(fields, state) {
  const list = element("dl");
  fields.forEach((field, k) => {
    const name = element("dt", field.unit && field.unit !== field.name ? `${field.name} (${field.unit})` : field.name);
    if (field.about) name.title = field.about;
    const value = element("dd");
    if (Array.isArray(state[k])) value.append(bars(state[k], field.low, field.high));
    else value.textContent = state[k] === null ? "–" : state[k];
    list.append(name, value);
  });
  return list;
}

function soFar(life, step) {
  return life.steps.slice(0, step).reduce((sum, one) => sum + (one[1] ?? 0), 0);
}

// What one agent showed at a step, what came of it, and the user after it.
function card(agent, life, step, fields) {
  const made = element("article"), over = step > life.steps.length, at = Math.min(step, life.steps.length);
  const head = element("h4", agent);
  head.style.borderColor = looks[agent].color;
  made.append(head);
  const sum = Number(soFar(life, at).toPrecision(6));
  made.append(element("p", at === 0 ? "Before the first slate." : `After ${at} slates: engagement ${sum}.`));
  if (over || (at === life.length && at > 0)) {
    made.append(element("p", life.cut ? `The session was cut after ${life.length}.` : `The user left after ${life.length}.`, "over"));
  }
  if (at > 0 && !over) {
    const [items, reward] = life.steps[at - 1], shown = element("ol");
    for (const [text, clicked] of items) {
      shown.append(element("li", clicked ? `${text} – clicked` : text, clicked ? "clicked" : ""));
    }
    made.append(element("p", `Slate ${at}, reward ${reward}:`), shown);
  }
  made.append(stateOf(fields, at === 0 ? life.first : life.steps[at - 1][2]));
  return made;
}

function trail(life, agent) {
  let sum = 0;
  const y = [0, ...life.steps.map((one) => (sum += one[1] ?? 0))];
  return {x: y.map((_, k) => k), y, mode: "lines", name: agent, line: looks[agent]};
}

function replay(number, told) {
  const find = (part) => document.getElementById(`replay-${number}-${part}`);
  const [user, slider, play, chart, cards] = ["user", "step", "play", "chart", "cards"].map(find);
  const agents = [find("left"), find("right")];
  told.users.forEach((id, k) => user.append(option(k, `${id}`)));
  agents.forEach((choice, k) => {
    for (const name of Object.keys(told.lives)) choice.append(option(name, name));
    choice.value = told.pair[k];
  });
  let timer = null;
  const lives = () => agents.map((choice) => told.lives[choice.value][user.value]);

  function draw() {
    const step = Number(slider.value);
    find("now").textContent = `${step} of ${slider.max}`;
    cards.replaceChildren(...lives().map((life, k) => card(agents[k].value, life, step, told.fields)));
    Plotly.relayout(chart, {"shapes[0].x0": step, "shapes[0].x1": step});
  }

  function choose() {
    slider.max = Math.max(...lives().map((life) => life.steps.length));
    slider.value = Math.min(slider.value, slider.max);
    const mark = {type: "line", yref: "paper", y0: 0, y1: 1, x0: 0, x1: 0, line: {color: "#888", width: 1}};
    const layout = {height: 260, margin: {l: 60, r: 10, t: 10, b: 40}, paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
      shapes: [mark], xaxis: {title: {text: "slates"}}, yaxis: {title: {text: "engagement so far"}}, legend: {orientation: "h", y: 1.2}};
    const lines = lives().map((life, k) => trail(life, agents[k].value));
    Plotly.react(chart, lines, layout, {responsive: true, displayModeBar: false});
    draw();
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    play.textContent = "Play";
  }

  function forward() {
    if (Number(slider.value) >= Number(slider.max)) return stop();
    slider.value = Number(slider.value) + 1;
    draw();
  }

  play.addEventListener("click", () => {
    if (timer) return stop();
    if (slider.value === slider.max) slider.value = 0;
    timer = setInterval(forward, 400);
    play.textContent = "Pause";
    forward();
  });
  slider.addEventListener("input", draw);
  for (const choice of [user, ...agents]) choice.addEventListener("change", choose);
  choose();
}

lives.forEach((told, number) => told && replay(number, told));
