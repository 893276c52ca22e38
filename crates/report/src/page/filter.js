const form = document.getElementById("filter");
if (form) {
  const samples = [...document.querySelectorAll(".sample")];
  const apply = () => {
    let shown = 0;
    for (const sample of samples) {
      const fits = (name) => !form[name].value || sample.dataset[name] === form[name].value;
      sample.hidden = !(fits("step") && fits("verdict"));
      shown += !sample.hidden;
    }
    form.querySelector("output").textContent = shown + " shown";
  };
  form.hidden = false;
  form.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
  apply();
}
