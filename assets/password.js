// Adds a Show password button to each password field. The forms work without it.
"use strict";

const fields = document.querySelectorAll("input[type=password]");
// Empty at first, and after the page: screen readers say only what changes in a status, and do not meet it.
const status = document.createElement("p");
status.setAttribute("role", "status");
status.className = "vh";
if (fields.length > 0) document.body.append(status);
for (const field of fields) {
  // With several fields, each button uses the label of its field: "Show new password".
  const what = fields.length > 1 ? field.labels[0].textContent.toLowerCase() : "password";
  const button = document.createElement("button");
  const show = (isShown) => {
    field.type = isShown ? "text" : "password";
    button.textContent = `${isShown ? "Hide" : "Show"} ${what}`;
  };
  button.type = "button";
  button.className = "quiet";
  button.addEventListener("click", () => {
    const isShown = field.type === "password";
    show(isShown);
    status.textContent = `Your ${what} is ${isShown ? "visible" : "hidden"}`;
  });
  // Hides it on submit: browsers offer to save the content of text fields, readable by anyone.
  field.form.addEventListener("submit", () => show(false));
  show(false);
  field.after(button);
}
