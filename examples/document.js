// A heading, a paragraph and a table, saved as the Word document /document.docx.
const fs = require("fs");
const { Document, HeadingLevel, Packer, Paragraph, Table, TableCell, TableRow, TextRun, WidthType } = require("docx");

const rows = [
  ["Product", "Sold", "Change"],
  ["Pens", "1,204", "+3 %"],
  ["Paper", "1,377", "+1 %"],
  ["Ink", "986", "+5 %"],
];

const cell = (text, bold) => new TableCell({ children: [new Paragraph({ children: [new TextRun({ text, bold })] })] });

const document = new Document({
  sections: [
    {
      children: [
        new Paragraph({ text: "Sales of the year", heading: HeadingLevel.HEADING_1 }),
        new Paragraph("Written by Bun and docx, in a sandbox that sees this thread and nothing else."),
        new Table({
          width: { size: 100, type: WidthType.PERCENTAGE },
          rows: rows.map((row, number) => new TableRow({ children: row.map((text) => cell(text, number === 0)) })),
        }),
      ],
    },
  ],
});

Packer.toBuffer(document).then((bytes) => {
  fs.writeFileSync("/document.docx", bytes);
  console.log(`${bytes.length} bytes of Word document`);
});
