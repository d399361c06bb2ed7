// nginx itself always sends its name in `Server`. Without the module headers-more, as in nginx's own image, this
// function replaces the name by a dash. headers.conf reads the value, which is always empty, so that it adds no field.
function answer(r) {
    r.headersOut.Server = "-";
    return "";
}

export default { answer };
